/**
 * An app that installs itself with Slack's own JavaScript library for OAuth. It gets the addresses in its environment,
 * says its port when it can be reached, and lives until its standard input closes.
 *
 * Pages: /slack/install and /slack/oauth_redirect are the library's. /as says who the app is for an installation, by
 * the library's authorize(); /expire makes a stored token look as if it had expired.
 */

import http from "node:http";
import oauth from "@slack/oauth";
import { WebClient } from "@slack/web-api";

const { InstallProvider, LogLevel } = oauth;
const { SLACK_API_URL: slackApiUrl, AUTHORIZE_URL: authorizationUrl } = process.env;
const { CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, SCOPES: scopes } = process.env;

const clientOptions = { slackApiUrl, retryConfig: { retries: 0 } };
const stored = new Map();
const installer = new InstallProvider({
  clientId,
  clientSecret,
  authorizationUrl,
  clientOptions,
  stateSecret: "made-up",
  logLevel: LogLevel.ERROR,
  logger: { ...console, setLevel() {}, getLevel: () => LogLevel.ERROR, setName() {}, debug() {}, info() {}, error() {} },
  installationStore: {
    storeInstallation: async (one) => stored.set(one.isEnterpriseInstall ? one.enterprise.id : one.team.id, one),
    fetchInstallation: async (query) => stored.get(query.isEnterpriseInstall ? query.enterpriseId : query.teamId),
  },
});

const answer = (res, status, body) => {
  res.writeHead(status, { "Content-Type": "application/json" });
  res.end(JSON.stringify(body));
};

const callbackOptions = {
  success: (one, _options, _req, res) => {
    const { bot, team, enterprise, user, isEnterpriseInstall } = one;
    answer(res, 200, { bot: { ...bot, token: "", refreshToken: "" }, team, enterprise, user, isEnterpriseInstall });
  },
  failure: (error, _options, _req, res) => answer(res, 400, { code: error.code, error: error.data?.error }),
};

const whoIs = async (query) => {
  const isEnterpriseInstall = query.has("enterprise");
  const source = { teamId: query.get("team"), enterpriseId: query.get("enterprise"), isEnterpriseInstall };
  const { botToken } = await installer.authorize(source);
  const { team_id, user_id } = await new WebClient(botToken, clientOptions).auth.test();
  return { team_id, user_id, token: botToken };
};

const server = http.createServer(async (req, res) => {
  const { pathname, searchParams, origin } = new URL(req.url, `http://${req.headers.host}`);
  try {
    if (pathname === "/slack/install") {
      const redirectUri = `${origin}/slack/oauth_redirect`;
      await installer.handleInstallPath(req, res, undefined, { scopes: scopes.split(","), redirectUri });
    } else if (pathname === "/slack/oauth_redirect") {
      await installer.handleCallback(req, res, callbackOptions);
    } else if (pathname === "/expire") {
      stored.get(searchParams.get("team")).bot.expiresAt = 0;
      answer(res, 200, {});
    } else {
      answer(res, 200, await whoIs(searchParams));
    }
  } catch (error) {
    answer(res, 500, { code: error.code, error: error.message });
  }
});

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
