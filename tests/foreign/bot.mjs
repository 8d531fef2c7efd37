/**
 * A bot of Slack's own JavaScript framework. It gets the addresses in its environment, says "ready" with its own
 * address when it can be reached, and lives until its standard input closes.
 *
 * What it does: /flokit -> ack, then a message with a button; the button -> a reply in the message's thread and an
 * edit of the message; "details" -> a modal whose input must not be "wrong"; App Home -> a published view.
 */

import bolt from "@slack/bolt";
import { WebClient } from "@slack/web-api";

const { App, HTTPReceiver, LogLevel } = bolt;
const { MODE, SLACK_API_URL: slackApiUrl, SLACK_BOT_TOKEN: token } = process.env;
const { SLACK_APP_TOKEN: appToken, SLACK_SIGNING_SECRET: signingSecret } = process.env;

const receiver = MODE === "http" ? new HTTPReceiver({ signingSecret, logLevel: LogLevel.ERROR }) : undefined;
const app = new App({
  token,
  clientOptions: { slackApiUrl },
  logLevel: LogLevel.ERROR,
  ...(receiver ? { receiver } : { socketMode: true, appToken }),
});

const text = (words) => ({ type: "plain_text", text: words });
const button = (action_id, words) => ({ type: "button", action_id, text: text(words), value: "run-7" });

app.command("/flokit", async ({ ack, command, say }) => {
  await ack(`you said ${command.text}`);
  await say({
    text: "Stripe is failing",
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: "*Stripe* is failing" } },
      { type: "actions", elements: [button("resync", "Resync"), button("details", "Details")] },
    ],
  });
});

app.action("resync", async ({ ack, body, client, action }) => {
  await ack();
  const { id: channel } = body.channel;
  await client.chat.postMessage({ channel, thread_ts: body.message.ts, text: `synced ${action.value}` });
  await client.chat.update({ channel, ts: body.message.ts, text: "Stripe is fine", blocks: [] });
});

app.action("details", async ({ ack, body, client }) => {
  await ack();
  await client.views.open({
    trigger_id: body.trigger_id,
    view: {
      type: "modal",
      callback_id: "details",
      title: text("Details"),
      submit: text("Save"),
      blocks: [
        {
          type: "input",
          block_id: "reason",
          label: text("Reason"),
          element: { type: "plain_text_input", action_id: "text" },
        },
      ],
    },
  });
});

app.view("details", async ({ ack, view, body, client }) => {
  const { value } = view.state.values.reason.text;
  if (value === "wrong") {
    await ack({ response_action: "errors", errors: { reason: "Say something else." } });
    return;
  }
  await ack();
  await client.chat.postMessage({ channel: body.user.id, text: `because ${value}` });
});

app.event("app_home_opened", async ({ event, client }) => {
  await client.views.publish({ user_id: event.user, view: { type: "home", blocks: [{ type: "divider" }] } });
});

const refusedWith = async (call) => {
  try {
    await call;
    return "";
  } catch (error) {
    return error.data.error;
  }
};

const client = new WebClient(token, { slackApiUrl, retryConfig: { retries: 0 } });
const who = await client.auth.test();
const refused = await refusedWith(client.chat.postMessage({ channel: "C0NOWHERE", text: "x" }));
await app.start({ port: 0, host: "127.0.0.1" });
const port = receiver ? receiver.server.address().port : 0;
process.stdout.write(`${JSON.stringify({ port, user: who.user_id, refused })}\n`);
process.stdin.resume();
process.stdin.on("end", async () => {
  await app.stop();
  process.exit(0);
});
