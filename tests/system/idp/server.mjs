// server.mjs SETTINGS.json - an OAuth2 provider on loopback for the system
// tests: panva's oidc-provider with opaque access tokens of a chosen life and
// size, and a control port beside it.
//
// Prints one line of JSON when it is ready: {"issuer", "plain", "control"}.
// issuer is HTTPS; plain is the same provider on HTTP, for a resource server
// whose HTTP client knows no test CA.
//
// Google's jwt-bearer grant, which names no client, is beside it: see google().
//
// Control: GET /requests (every token request: time, grant, client, error),
//          GET /bodies (the same requests as they came, secrets and all, and
//          those for device codes: path, headers, form),
//          GET /issued (every access and refresh token ever given out),
//          POST /settings (JSON: life, bytes), POST /revoke (a token).
import { createPublicKey, randomFillSync, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { jwtVerify } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const BITS_PER_CHARACTER = 6;
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const MAIL_SCOPE = 'https://outlook.office.com/SMTP.Send';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const APP_SCOPE = 'https://outlook.office365.com/.default';

// The provider draws the random bytes of 128 tokens at once; with tokens of a
// few kilobytes that is more than Web Crypto gives in one call.
webcrypto.getRandomValues = (array) => randomFillSync(array);

const publicKey = (path) => createPublicKey(readFileSync(path));

const listen = (server) => new Promise((done) => {
  server.listen(0, '127.0.0.1', () => done(server.address().port));
});

const daemon = (id, method, credential) => ({
  client_id: id,
  ...credential,
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
    grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/done', 'http://localhost/'],
  },
  {
    client_id: 'native-secret',
    client_secret: settings.secret,
    application_type: 'native',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
    response_types: ['code'],
    redirect_uris: ['http://localhost/'],
  },
  daemon('daemon-secret', 'client_secret_post', { client_secret: settings.secret }),
  daemon('daemon-basic', 'client_secret_basic', { client_secret: settings.secret }),
  // No token_endpoint_auth_signing_alg: PS256 and RS256 both pass.
  daemon('daemon-cert', 'private_key_jwt', {
    jwks: { keys: [publicKey(settings.clientCertificate).export({ format: 'jwk' })] },
  }),
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
  scopes: ['openid', 'profile', 'offline_access', MAIL_SCOPE, APP_SCOPE],
  claims: { openid: ['sub'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  formats: {
    bitsOfOpaqueRandomness: (ctx, token) => (
      isAccess(token) && settings.bytes ? settings.bytes * BITS_PER_CHARACTER : 256),
  },
  // An application has no mailbox of its own; the tests give it one, and, for
  // a mail server that asks for it, every mailbox of that domain.
  extraTokenClaims: (ctx, token) => ({
    email: token.accountId ?? settings.mailbox,
    tenant: token.accountId ? 'person@none.invalid' : settings.mailbox,
  }),
  issueRefreshToken: (ctx, client, code) => (
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access')),
  rotateRefreshToken: settings.rotate,
  pkce: { required: () => true },
  ttl: {
    AccessToken: life,
    ClientCredentials: life,
    RefreshToken: 86400,
    AuthorizationCode: 60,
    DeviceCode: () => settings.deviceLife ?? 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    Session: 86400,
  },
  cookies: { keys: ['only for tests'] },
};

const requests = [];
const bodies = [];
const issued = [];

const keep = (request, form) => bodies.push({
  path: new URL(request.url, 'http://any').pathname,
  headers: request.headers,
  form,
});

function watch(provider) {
  const note = (ctx, error) => {
    keep(ctx.req, ctx.oidc.body);
    requests.push({
      time: Date.now() / 1000,
      grant: ctx.oidc.params?.grant_type,
      client: ctx.oidc.client?.clientId,
      error,
    });
  };
  provider.on('grant.success', (ctx) => note(ctx, null));
  provider.on('grant.error', (ctx, e) => note(ctx, `${e.error}: ${e.error_detail ?? ''}`));
  for (const result of ['success', 'error']) {
    provider.on(`device_authorization.${result}`, (ctx) => keep(ctx.req, ctx.oidc.body));
  }
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

// Google's token endpoint, as far as service accounts go: the assertion alone
// says who asks, and `sub` whose mailbox it is for.
async function google(provider, request) {
  const form = Object.fromEntries(new URLSearchParams(await body(request)));
  keep(request, form);
  const note = (error) => requests.push({
    time: Date.now() / 1000, grant: form.grant_type, client: settings.serviceAccount, error,
  });
  try {
    if (form.grant_type !== JWT_BEARER) throw new Error('not the grant of a service account');
    const { payload, protectedHeader } = await jwtVerify(
      form.assertion,
      publicKey(settings.servicePublicKey),
      { algorithms: ['RS256'], issuer: settings.serviceAccount, audience: `${issuer}/google/token` },
    );
    if (protectedHeader.kid !== settings.serviceKeyId) throw new Error('not the kid of the key');
    if (!payload.sub || !payload.scope || !(payload.exp - payload.iat <= 3600)) {
      throw new Error('sub, scope or life of the assertion');
    }
    const client = await provider.Client.find('native');
    const token = new provider.AccessToken({
      accountId: payload.sub,
      client,
      expiresIn: life(),
      extra: { email: payload.sub, tenant: 'person@none.invalid' },
      gty: JWT_BEARER,
      scope: payload.scope,
    });
    const value = await token.save();
    note(null);
    return [200, { access_token: value, expires_in: life(), token_type: 'Bearer' }];
  } catch (e) {
    note(`invalid_grant: ${e.message}`);
    return [400, { error: 'invalid_grant', error_description: `Invalid JWT: ${e.message}` }];
  }
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
    'GET /bodies': () => bodies,
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
const serve = provider.callback();
secure.on('request', async (request, response) => {
  if (request.url !== '/google/token') {
    serve(request, response);
    return;
  }
  const [status, answer] = await google(provider, request);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer));
});
const plain = http.createServer(provider.callback());
const control = http.createServer(controller(provider));
console.log(JSON.stringify({
  issuer,
  plain: `http://127.0.0.1:${await listen(plain)}`,
  control: `http://127.0.0.1:${await listen(control)}`,
}));
