"""Installing the app by OAuth: https://docs.slack.dev/authentication/installing-with-oauth."""
