"""The rule for MLflow's GraphQL, in which its pages read runs and metrics."""

from __future__ import annotations

from infra.errors import InvalidInput, NotAllowed
from workbench.services.mlflow_access.asked import Asked, Sent

# What is shared. Not mlflowListArtifacts: it lists whatever folder a run names.
READ = {
    "mlflowGetExperiment",
    "mlflowGetRun",
    "mlflowGetMetricHistoryBulkInterval",
    "mlflowSearchRuns",
    "mlflowSearchModelVersions",
    "mlflowSearchDatasets",
    "__typename",
}


async def graphql(asked: Asked) -> Sent:
    """Queries of shared records and nothing else."""
    from graphql import FieldNode, GraphQLError, OperationDefinitionNode, OperationType, parse

    body = await asked.json()
    query = body.get("query")
    if not isinstance(query, str) or len(query) > 50_000:
        raise InvalidInput("The GraphQL request has no query.")
    try:
        document = parse(query, max_tokens=5000)
    except (GraphQLError, RecursionError) as error:
        raise InvalidInput(f"Invalid GraphQL query: {str(error)[:200]}") from error
    for definition in document.definitions:
        if not isinstance(definition, OperationDefinitionNode):
            continue  # a fragment: it can only be used below what is checked here
        if definition.operation != OperationType.QUERY:
            raise NotAllowed("Only GraphQL queries are allowed; mutations are not.")
        for chosen in definition.selection_set.selections:
            if not isinstance(chosen, FieldNode) or chosen.name.value not in READ:
                raise NotAllowed(f"GraphQL query not allowed. Available fields: {', '.join(sorted(READ))}.")
    return Sent(body={name: body[name] for name in ("query", "variables", "operationName") if name in body})
