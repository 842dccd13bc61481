const form = document.getElementById('query');
const answer = document.getElementById('answer');

function readJson(name) {
  try {
    return JSON.parse(form.elements[name].value || '{}');
  } catch (error) {
    throw new Error(`The ${name} are not JSON: ${error.message}`);
  }
}

async function ask() {
  const body = JSON.stringify({ query: form.elements.query.value, variables: readJson('variables') });
  const headers = { ...readJson('headers'), 'Content-Type': 'application/json' };
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
