import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { useSyncExternalStore } from 'react';

const KEPT = 'switchyard-session';
const listeners = new Set();
let session = JSON.parse(sessionStorage.getItem(KEPT));

/** `{ token, email, pasted }` or null. Kept as long as the browser's tab, and nowhere else. */
function keep(next) {
  session = next;
  if (next) sessionStorage.setItem(KEPT, JSON.stringify(next));
  else sessionStorage.removeItem(KEPT);
  listeners.forEach((tell) => tell());
}

export function useSession() {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => session,
  );
}

const bearer = (token) => ({ Authorization: `Bearer ${token}` });

/** Raises with the status of a refusal. */
async function ask(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw Object.assign(new Error(`The server answered with status ${response.status}.`), { status: response.status });
  return response.status === 204 ? null : response.json();
}

export async function signIn(form) {
  const { access_token: token } = await ask('/auth/jwt/login', { method: 'POST', body: new URLSearchParams(form) });
  await acceptToken(token, { pasted: false });
}

export async function acceptToken(token, { pasted = true } = {}) {
  const { email } = await ask('/users/me', { headers: bearer(token), credentials: 'omit' });
  keep({ token, email, pasted });
}

/** A token that was pasted goes on working for whoever else has it. */
export async function signOut() {
  const { token, pasted } = session;
  keep(null);
  if (!pasted) await fetch('/auth/jwt/logout', { method: 'POST', headers: bearer(token) }).catch(() => undefined);
}

/** What the header editor says counts more than the sign-in. */
function withToken(address, options) {
  const headers = new Headers(options.headers);
  if (session && !headers.has('Authorization')) headers.set('Authorization', bearer(session.token).Authorization);
  return fetch(address, { ...options, headers });
}

const socket = new URL('/graphql', location.href);
socket.protocol = socket.protocol.replace('http', 'ws');

const ofGraphiQL = createGraphiQLFetcher({
  url: '/graphql',
  subscriptionUrl: socket.href,
  fetch: withToken,
  enableIncrementalDelivery: false,
  get wsConnectionParams() {
    return session ? bearer(session.token) : {};
  },
});

/** A header of another case would stand beside the sign-in's. */
export function fetcher(asked, options) {
  const headers = Object.entries(options?.headers ?? {});
  const own = headers.map(([name, value]) => [name.toLowerCase() === 'authorization' ? 'Authorization' : name, value]);
  return ofGraphiQL(asked, { ...options, headers: Object.fromEntries(own) });
}
