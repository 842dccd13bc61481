// node client.mjs ws|sse URL TOKEN QUERY VARIABLES: a line of JSON for whatever the client library tells.
import { createClient as overSse } from 'graphql-sse';
import { createClient as overWs } from 'graphql-ws';
import WebSocket from 'ws';

const [kind, url, token, query, variables] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const tell = (event, data) => console.log(JSON.stringify({ event, data }));

const retries = { retryAttempts: 20, retryWait: () => new Promise((resolve) => setTimeout(resolve, 200)) };

const client =
  kind === 'ws'
    ? overWs({
        url: `${url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { authorization },
        shouldRetry: () => true,
        ...retries,
        on: {
          connected: () => tell('connected'),
          closed: (event) => tell('closed', { code: event.code, reason: event.reason }),
        },
      })
    : overSse({
        url: `${url}/graphql`,
        headers: { authorization },
        ...retries,
        on: { connected: () => tell('connected') },
      });

client.subscribe(
  { query, variables: JSON.parse(variables) },
  {
    next: (result) => tell('next', result),
    error: (error) => {
      tell('error', Array.isArray(error) ? error : { code: error.code, reason: error.reason, message: String(error.message ?? error) });
      process.exit();
    },
    complete: () => {
      tell('complete');
      client.dispose();
    },
  },
);
