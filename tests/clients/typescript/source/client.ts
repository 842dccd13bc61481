// A client in one function: the types of variables and result come with the document.
import type { TypedDocumentString } from "./generated/graphql.js";

export interface GraphQLProblem {
  message: string;
  path?: (string | number)[];
  extensions: { code: string; field?: string };
}

export class Refused extends Error {
  constructor(readonly problems: GraphQLProblem[]) {
    super(problems.map((problem) => problem.message).join("; "));
  }
}

export class Switchyard {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  async ask<Result, Variables>(
    document: TypedDocumentString<Result, Variables>,
    variables: Variables,
    headers: Record<string, string> = {},
  ): Promise<Result> {
    const reply = await fetch(this.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json",
        authorization: `Bearer ${this.token}`,
        ...headers,
      },
      body: JSON.stringify({ query: document.toString(), variables }),
    });
    const { data, errors } = (await reply.json()) as { data?: Result; errors?: GraphQLProblem[] };
    if (errors !== undefined || data === undefined) throw new Refused(errors ?? []);
    return data;
  }
}
