import 'graphiql/setup-workers/vite';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import { Account } from './account.jsx';
import { examples, Fill } from './examples.jsx';
import { fetcher } from './session.js';
import './page.css';
import './graphiql.css';

const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];

createRoot(document.getElementById('page')).render(
  <GraphiQL fetcher={fetcher} plugins={plugins} defaultTabs={examples} defaultEditorToolsVisibility="variables" isHeadersEditorEnabled>
    <GraphiQL.Logo>
      <div className="corner">
        <a href="/start">Start</a>
        <Account />
        <Fill />
      </div>
    </GraphiQL.Logo>
  </GraphiQL>,
);
