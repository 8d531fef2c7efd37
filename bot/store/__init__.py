"""What must survive a crash: runs, threads, panels, requests and messages to send, on SQLite or PostgreSQL.

Nothing here talks to Slack or FloKit, and nothing here decides: it saves decisions and hands out claims.
"""
