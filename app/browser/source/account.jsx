import { Button, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useState } from 'react';

const PROBLEMS = {
  400: 'No active account has this email and password.',
  404: 'This server has no sign-in by password.',
  422: 'Enter an email address and a password.',
  429: 'Too many attempts. Wait a minute and try again.',
};

/** The user, null when nobody is signed in, undefined when this server knows no accounts. */
async function readUser() {
  try {
    const response = await fetch('/users/me');
    if (response.status === 401) return null;
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

/** What went wrong, in plain words, or nothing. */
async function signIn(form) {
  try {
    const response = await fetch('/auth/cookie/login', { method: 'POST', body: new URLSearchParams(form) });
    if (response.ok) return undefined;
    return PROBLEMS[response.status] ?? `The server could not sign you in (status ${response.status}).`;
  } catch {
    return 'The server did not answer.';
  }
}

async function signOut() {
  await fetch('/auth/cookie/logout', { method: 'POST' }).catch(() => undefined);
}

function SignIn({ onDone }) {
  const [problem, setProblem] = useState();
  const submit = async (event) => {
    event.preventDefault();
    const answer = await signIn(new FormData(event.currentTarget));
    setProblem(answer);
    if (!answer) await onDone();
  };
  return (
    <details className="account">
      <summary className="graphiql-button">Sign in</summary>
      <form onSubmit={submit}>
        <label>
          Email
          <input name="username" type="email" autoComplete="username" required />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <Button type="submit">Sign in</Button>
        {problem && <p role="alert">{problem}</p>}
      </form>
    </details>
  );
}

function SignedIn({ user, onDone }) {
  return (
    <div className="account">
      <span>Signed in as {user.email}</span>
      <Button type="button" onClick={() => signOut().then(onDone)}>Sign out</Button>
    </div>
  );
}

/** Who is asking: the session cookie set here goes with every query. */
export function Account() {
  const [user, setUser] = useState();
  const { introspect } = useGraphiQLActions();
  const readAgain = async () => {
    setUser(await readUser());
    await introspect();
  };
  useEffect(() => void readUser().then(setUser), []);
  if (user === undefined) return null;
  return user ? <SignedIn user={user} onDone={readAgain} /> : <SignIn onDone={readAgain} />;
}
