import { useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';
import { fetcher, useSession } from './session.js';

const documents = import.meta.glob('./examples/*/*.graphql', { query: '?raw', import: 'default', eager: true });

/** What a variable of an example becomes, once somebody has signed in who may see it. */
const FIRST = {
  instrument: ['instruments', '{ instruments(first: 1) { nodes { localId } } }'],
  run: ['harvestRuns', '{ harvestRuns(first: 1) { nodes { localId } } }'],
};

const asked = (query) => Object.keys(FIRST).filter((name) => query.includes(`$${name}: UUID!`));
const empty = (names) => (names.length ? JSON.stringify(Object.fromEntries(names.map((name) => [name, ''])), null, 2) : null);

/** One tab each, in the order of their files' names. */
export const examples = Object.values(documents).map((query) => ({ query, variables: empty(asked(query)) }));

async function first(name) {
  const [field, query] = FIRST[name];
  const { data } = await fetcher({ query }, {});
  return data?.[field]?.nodes[0]?.localId ?? '';
}

/** Fills in the variables of the example that is looked at, where nobody has. */
export function Fill() {
  const session = useSession();
  const editor = useGraphiQL((state) => state.variableEditor);
  const active = useGraphiQL((state) => state.tabs[state.activeTabIndex]);
  useEffect(() => {
    const names = asked(active.query ?? '');
    const before = empty(names);
    if (!session || !editor || !before || active.variables !== before) return;
    Promise.all(names.map(async (name) => [name, await first(name)]))
      .then((found) => editor.getValue() === before && editor.setValue(JSON.stringify(Object.fromEntries(found), null, 2)))
      .catch(() => undefined); // running the example says why
  }, [session, editor, active.id]);
  return null;
}
