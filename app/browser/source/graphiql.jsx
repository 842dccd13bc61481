import 'graphiql/setup-workers/vite';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import { Account } from './account.jsx';
import example from './example.graphql?raw';
import './page.css';
import './graphiql.css';

// Row streams have no socket to come by yet: the server says so in its answer.
async function fetcher(asked, options) {
  const headers = { 'Content-Type': 'application/json', ...options?.headers };
  const reply = await fetch('/graphql', { method: 'POST', credentials: 'same-origin', headers, body: JSON.stringify(asked) });
  return reply.json();
}

const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];

createRoot(document.getElementById('page')).render(
  <GraphiQL fetcher={fetcher} plugins={plugins} defaultQuery={example}>
    <GraphiQL.Logo>
      <Account />
    </GraphiQL.Logo>
  </GraphiQL>,
);
