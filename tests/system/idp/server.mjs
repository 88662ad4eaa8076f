// server.mjs SETTINGS.json - an OAuth2 provider on loopback for the system
// tests: panva's oidc-provider with opaque access tokens of a chosen life and
// size, and a control port beside it.
//
// Prints one line of JSON when it is ready: {"issuer", "plain", "control"}.
// issuer is HTTPS; plain is the same provider on HTTP, for a resource server
// whose HTTP client knows no test CA.
//
// Control: GET /requests (every token request: time, grant, client, error),
//          GET /issued (every access and refresh token ever given out),
//          POST /settings (JSON: life, bytes), POST /revoke (a token).
import { randomFillSync, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const BITS_PER_CHARACTER = 6;
const MAIL_SCOPE = 'https://outlook.office.com/SMTP.Send';
const APP_SCOPE = 'https://outlook.office365.com/.default';

// The provider draws the random bytes of 128 tokens at once; with tokens of a
// few kilobytes that is more than Web Crypto gives in one call.
webcrypto.getRandomValues = (array) => randomFillSync(array);

const listen = (server) => new Promise((done) => {
  server.listen(0, '127.0.0.1', () => done(server.address().port));
});

const daemon = (id, method) => ({
  client_id: id,
  client_secret: settings.secret,
  token_endpoint_auth_method: method,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: APP_SCOPE,
});

const clients = [
  {
    client_id: 'native',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/done'],
  },
  daemon('daemon-secret', 'client_secret_post'),
  daemon('daemon-basic', 'client_secret_basic'),
  {
    client_id: 'dovecot',
    client_secret: settings.introspectionSecret,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: [],
    response_types: [],
    redirect_uris: [],
  },
];

const isAccess = (token) => ['AccessToken', 'ClientCredentials'].includes(token.kind);
const life = () => settings.life;

const configuration = {
  clients,
  scopes: ['openid', 'offline_access', MAIL_SCOPE, APP_SCOPE],
  claims: { openid: ['sub'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  formats: {
    bitsOfOpaqueRandomness: (ctx, token) => (
      isAccess(token) && settings.bytes ? settings.bytes * BITS_PER_CHARACTER : 256),
  },
  // An application has no mailbox of its own; the tests give it one.
  extraTokenClaims: (ctx, token) => ({ email: token.accountId ?? settings.mailbox }),
  issueRefreshToken: (ctx, client, code) => (
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access')),
  rotateRefreshToken: settings.rotate,
  pkce: { required: () => true },
  ttl: {
    AccessToken: life,
    ClientCredentials: life,
    RefreshToken: 86400,
    AuthorizationCode: 60,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    Session: 86400,
  },
  cookies: { keys: ['only for tests'] },
};

const requests = [];
const issued = [];

function watch(provider) {
  const note = (ctx, error) => requests.push({
    time: Date.now() / 1000,
    grant: ctx.oidc.params?.grant_type,
    client: ctx.oidc.client?.clientId,
    error,
  });
  provider.on('grant.success', (ctx) => note(ctx, null));
  provider.on('grant.error', (ctx, e) => note(ctx, `${e.error}: ${e.error_detail ?? ''}`));
  provider.on('server_error', (ctx, e) => console.error(e.stack));
  for (const kind of ['access_token', 'client_credentials', 'refresh_token']) {
    provider.on(`${kind}.saved`, (token) => issued.push(token.jti));
  }
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function revoke(provider, value) {
  const token = await provider.AccessToken.find(value)
    ?? await provider.ClientCredentials.find(value)
    ?? await provider.RefreshToken.find(value);
  await token?.destroy();
  return { revoked: Boolean(token) };
}

function controller(provider) {
  const actions = {
    'GET /requests': () => requests,
    'GET /issued': () => issued,
    'POST /settings': async (request) => Object.assign(settings, JSON.parse(await body(request))),
    'POST /revoke': async (request) => revoke(provider, await body(request)),
  };
  return async (request, response) => {
    const action = actions[`${request.method} ${request.url}`];
    response.statusCode = action ? 200 : 404;
    response.end(JSON.stringify(action ? await action(request) : {}));
  };
}

const secure = https.createServer({
  cert: readFileSync(settings.cert),
  key: readFileSync(settings.key),
});
const issuer = `https://127.0.0.1:${await listen(secure)}`;
const provider = new Provider(issuer, configuration);
watch(provider);
secure.on('request', provider.callback());
const plain = http.createServer(provider.callback());
const control = http.createServer(controller(provider));
console.log(JSON.stringify({
  issuer,
  plain: `http://127.0.0.1:${await listen(plain)}`,
  control: `http://127.0.0.1:${await listen(control)}`,
}));
