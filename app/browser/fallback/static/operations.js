const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

function row(method, path, operation) {
  const line = document.createElement('tr');
  for (const text of [method.toUpperCase(), path, operation.summary ?? operation.description ?? '']) {
    line.insertCell().textContent = text;
  }
  return line;
}

function rows([path, item]) {
  return METHODS.filter((method) => method in item).map((method) => row(method, path, item[method]));
}

try {
  const response = await fetch('/openapi.json');
  if (!response.ok) throw new Error(`status ${response.status}`);
  const { paths = {} } = await response.json();
  document.getElementById('operations').append(...Object.entries(paths).flatMap(rows));
} catch (error) {
  const problem = document.getElementById('problem');
  problem.textContent = `The list of operations could not be read: ${error.message}.`;
  problem.hidden = false;
}
