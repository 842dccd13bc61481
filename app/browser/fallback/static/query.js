// Without a build there are no modules of others: this page is as small as it can be and still sign in.
const KEPT = 'switchyard-session'; // as the full explorer has it: as long as the browser's tab, and nowhere else
const form = document.getElementById('query');
const account = document.getElementById('account');
const problem = document.getElementById('problem');
const answer = document.getElementById('answer');

const session = () => JSON.parse(sessionStorage.getItem(KEPT));
const bearer = (token) => ({ Authorization: `Bearer ${token}` });

function show() {
  const known = session();
  account.hidden = Boolean(known);
  document.getElementById('known').hidden = !known;
  document.getElementById('who').textContent = known ? `Signed in as ${known.email}.` : '';
}

async function signIn() {
  const response = await fetch('/auth/jwt/login', { method: 'POST', body: new URLSearchParams(new FormData(account)) });
  if (response.status === 400) throw new Error('No active account has this email and password.');
  if (!response.ok) throw new Error(`The server answered with status ${response.status}.`);
  const { access_token: token } = await response.json();
  const { email } = await (await fetch('/users/me', { headers: bearer(token), credentials: 'omit' })).json();
  sessionStorage.setItem(KEPT, JSON.stringify({ token, email, pasted: false }));
  account.reset();
}

async function signOut() {
  const { token, pasted } = session();
  sessionStorage.removeItem(KEPT);
  show();
  if (!pasted) await fetch('/auth/jwt/logout', { method: 'POST', headers: bearer(token) }).catch(() => undefined);
}

function readJson(name) {
  try {
    return JSON.parse(form.elements[name].value || '{}');
  } catch (error) {
    throw new Error(`The ${name} are not JSON: ${error.message}`);
  }
}

async function ask() {
  const body = JSON.stringify({ query: form.elements.query.value, variables: readJson('variables') });
  const known = session();
  const headers = new Headers({ ...(known && bearer(known.token)), 'Content-Type': 'application/json' });
  for (const [name, value] of Object.entries(readJson('headers'))) headers.set(name, value); // what is written here counts more
  const response = await fetch('/graphql', { method: 'POST', credentials: 'same-origin', headers, body });
  const text = await response.text();
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return `Status ${response.status}, and no JSON:\n${text}`;
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  answer.textContent = 'Running…';
  answer.textContent = await ask().catch((error) => error.message);
});

account.addEventListener('submit', async (event) => {
  event.preventDefault();
  problem.textContent = await signIn().then(() => '', (error) => error.message);
  problem.hidden = !problem.textContent;
  show();
});

document.getElementById('leave').addEventListener('click', signOut);
show();
