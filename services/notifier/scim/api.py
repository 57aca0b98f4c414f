"""`/scim/v2`: SCIM 2.0 for an organization's identity provider. Refusals are SCIM errors (RFC 7644, 3.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field, ValidationError
from scim2_models import (
    Context,
    Error,
    InvalidSyntaxException,
    ListResponse,
    Meta,
    NotFoundException,
    Resource,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from starlette.responses import JSONResponse, Response

from services.notifier.scim.model import CONFIG, POLICY, PROVIDER, User
from services.notifier.scim.users import Users
from shared.errors import Malformed, Unprocessable
from shared.http import RECIPIENTS, Caller, Params, Router
from shared.http.body import parse

PREFIX = "/scim/v2"
SCOPES = (RECIPIENTS,)
Endpoint = Callable[..., Awaitable[Response]]


class ScimJson(JSONResponse):
    """JSON under SCIM's own media type."""

    media_type = "application/scim+json"


class Selection(Params):
    """Which attributes are answered."""

    attributes: str | None = None
    excluded_attributes: str | None = Field(None, alias="excludedAttributes")

    def given(self) -> dict[str, Any]:
        """What was asked, by SCIM's names."""
        return self.model_dump(by_alias=True, exclude_none=True)


class SearchParams(Selection):
    """A query in the address."""

    filter: str | None = None
    sort_by: str | None = Field(None, alias="sortBy")
    sort_order: str | None = Field(None, alias="sortOrder")
    start_index: str | None = Field(None, alias="startIndex")
    count: str | None = None


def routes(users: Users) -> Router:
    """The routes of SCIM."""
    router = Router(tags=["scim"])

    @router.post(f"{PREFIX}/Users", scopes=SCOPES, status_code=201)
    @_in_scim
    async def create_user(request: Request, caller: Caller) -> Response:
        """Provide a recipient."""
        made = await users.create(caller.org_id, await _body(request))
        content = made.model_dump(scim_ctx=Context.RESOURCE_CREATION_RESPONSE)
        return ScimJson(content, 201, {"Location": content["meta"]["location"]})

    @router.get(f"{PREFIX}/Users", scopes=SCOPES)
    @_in_scim
    async def list_users(asked: Annotated[SearchParams, Query()], caller: Caller) -> Response:
        """Those that match a filter, such as `userName eq "ada"`."""
        return await _found(users, caller, asked.given())

    @router.post(f"{PREFIX}/Users/.search", scopes=SCOPES)
    @_in_scim
    async def search_users(request: Request, caller: Caller) -> Response:
        """The same, with the query in the body."""
        return await _found(users, caller, await _body(request))

    @router.post(f"{PREFIX}/.search", scopes=SCOPES)
    @_in_scim
    async def search_all(request: Request, caller: Caller) -> Response:
        """The same: users are all there is."""
        return await _found(users, caller, await _body(request))

    @router.get(f"{PREFIX}/Users/{{id}}", scopes=SCOPES)
    @_in_scim
    async def get_user(id: str, asked: Annotated[Selection, Query()], caller: Caller) -> Response:
        """A user."""
        found = await users.get(caller.org_id, id)
        parameters = ResponseParameters[User].model_validate(asked.given(), scim_policy=POLICY)
        return ScimJson(
            found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters)
        )

    @router.put(f"{PREFIX}/Users/{{id}}", scopes=SCOPES)
    @_in_scim
    async def replace_user(id: str, request: Request, caller: Caller) -> Response:
        """Replace all of a user."""
        after = await users.replace(caller.org_id, id, await _body(request))
        return ScimJson(after.model_dump(scim_ctx=Context.RESOURCE_REPLACEMENT_RESPONSE))

    @router.patch(f"{PREFIX}/Users/{{id}}", scopes=SCOPES)
    @_in_scim
    async def patch_user(id: str, request: Request, caller: Caller) -> Response:
        """Change parts of a user; `active: false` ends its reminders."""
        after = await users.patch(caller.org_id, id, await _body(request))
        return ScimJson(after.model_dump(scim_ctx=Context.RESOURCE_PATCH_RESPONSE))

    @router.delete(f"{PREFIX}/Users/{{id}}", scopes=SCOPES)
    @_in_scim
    async def delete_user(id: str, caller: Caller) -> Response:
        """Forget a user, and the recipient that it made."""
        await users.delete(caller.org_id, id)
        return Response(status_code=204)

    _add_discovery(router, users.base_url)
    return router


def _add_discovery(router: Router, base_url: str) -> None:
    config = _described([CONFIG], base_url, "ServiceProviderConfig")[0]
    schemas = _described(PROVIDER.schemas, base_url, "Schemas")
    types = _described(PROVIDER.resource_types, base_url, "ResourceTypes")

    @router.get(f"{PREFIX}/ServiceProviderConfig", scopes=SCOPES)
    @_in_scim
    async def service_provider_config(caller: Caller) -> Response:
        """What this service can do."""
        return ScimJson(config)

    @router.get(f"{PREFIX}/Schemas", scopes=SCOPES)
    @_in_scim
    async def list_schemas(caller: Caller) -> Response:
        """The schemas of what there is."""
        return _list_of(schemas)

    @router.get(f"{PREFIX}/Schemas/{{id}}", scopes=SCOPES)
    @_in_scim
    async def get_schema(id: str, caller: Caller) -> Response:
        """One schema."""
        return _one_of(schemas, id)

    @router.get(f"{PREFIX}/ResourceTypes", scopes=SCOPES)
    @_in_scim
    async def list_resource_types(caller: Caller) -> Response:
        """The types of what there is."""
        return _list_of(types)

    @router.get(f"{PREFIX}/ResourceTypes/{{id}}", scopes=SCOPES)
    @_in_scim
    async def get_resource_type(id: str, caller: Caller) -> Response:
        """One type."""
        return _one_of(types, id)

    @router.get(f"{PREFIX}/{{rest:path}}", scopes=SCOPES, include_in_schema=False)
    @_in_scim
    async def nothing(rest: str, caller: Caller) -> Response:
        raise NotFoundException(detail="There is nothing at this address.")


def _described(resources: Sequence[Resource[Any]], base_url: str, endpoint: str) -> list[dict[str, Any]]:
    """Discovery's resources as they are answered, each with its own address."""
    found = []
    for resource in resources:
        own = resource.model_copy()
        location = f"{base_url}/{endpoint}" + (f"/{resource.id}" if resource.id else "")
        own.meta = Meta(resource_type=type(resource).__name__, location=location)
        found.append(own.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))
    return found


def _list_of(resources: list[dict[str, Any]]) -> Response:
    return ScimJson(
        {
            "schemas": [str(ListResponse.__schema__)],
            "totalResults": len(resources),
            "startIndex": 1,
            "itemsPerPage": len(resources),
            "Resources": resources,
        }
    )


def _one_of(resources: list[dict[str, Any]], id: str) -> Response:
    for resource in resources:
        if resource["id"] == id:
            return ScimJson(resource)
    raise NotFoundException(detail="There is nothing of that id.")


async def _found(users: Users, caller: Caller, asked: Any) -> Response:
    request = SearchRequest[User].model_validate(asked, scim_policy=POLICY)
    found = await users.search(caller.org_id, request)
    return ScimJson(found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=request))


async def _body(request: Request) -> Any:
    try:
        return parse(await request.body())
    except (Malformed, Unprocessable) as error:
        raise InvalidSyntaxException(detail=error.detail) from error


def _in_scim(endpoint: Endpoint) -> Endpoint:
    """The endpoint, whose refusals are SCIM's errors."""

    @wraps(endpoint)
    async def call(*args: Any, **values: Any) -> Response:
        try:
            return await endpoint(*args, **values)
        except SCIMException as refused:
            return _refused(refused.to_error())
        except ValidationError as refused:
            return _refused(Error.from_validation_errors(refused)[0])

    return call


def _refused(error: Error) -> Response:
    return ScimJson(error.model_dump(), error.status or 400)
