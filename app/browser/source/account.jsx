import { Button } from '@graphiql/react';
import { useState } from 'react';
import { signIn, signOut, useSession, acceptToken } from './session.js';

const PROBLEMS = {
  400: 'No active account has this email and password.',
  401: 'The server does not know this token, or it has ended.',
  403: 'This token does not allow to say whose it is.',
  404: 'This server has no sign-in.',
  422: 'Enter an email address and a password.',
  429: 'Too many attempts. Wait a minute and try again.',
};

function explained(error) {
  if (error instanceof TypeError) return 'The server did not answer.';
  return PROBLEMS[error.status] ?? error.message;
}

function SignIn() {
  const [problem, setProblem] = useState();
  const trying = (attempt) => (event) => {
    event.preventDefault();
    setProblem();
    attempt(new FormData(event.currentTarget)).catch((error) => setProblem(explained(error)));
  };
  return (
    <details className="account">
      <summary className="graphiql-button">Sign in</summary>
      <div>
        <form className="by-password" onSubmit={trying(signIn)}>
          <label>
            Email
            <input name="username" type="email" autoComplete="username" required />
          </label>
          <label>
            Password
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          <Button type="submit">Sign in</Button>
        </form>
        <form className="by-token" onSubmit={trying((form) => acceptToken(form.get('token').trim()))}>
          <label>
            or a token that you have
            <input name="token" type="password" autoComplete="off" required />
          </label>
          <Button type="submit">Use token</Button>
        </form>
        {problem && <p role="alert">{problem}</p>}
      </div>
    </details>
  );
}

/** Who is asking: the token goes with every query, mutation and subscription. */
export function Account() {
  const session = useSession();
  if (!session) return <SignIn />;
  return (
    <div className="account">
      <span>Signed in as {session.email}</span>
      <Button type="button" onClick={signOut}>
        Sign out
      </Button>
    </div>
  );
}
