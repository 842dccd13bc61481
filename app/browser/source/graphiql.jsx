import 'graphiql/setup-workers/vite';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import { Account } from './account.jsx';
import example from './example.graphql?raw';
import './page.css';
import './graphiql.css';

const fetcher = createGraphiQLFetcher({
  url: '/graphql',
  subscriptionUrl: `${location.origin.replace(/^http/, 'ws')}/graphql`,
  fetch: (address, options) => fetch(address, { ...options, credentials: 'same-origin' }),
});

const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];

createRoot(document.getElementById('page')).render(
  <GraphiQL fetcher={fetcher} plugins={plugins} defaultQuery={example}>
    <GraphiQL.Logo>
      <Account />
    </GraphiQL.Logo>
  </GraphiQL>,
);
