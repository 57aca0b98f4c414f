"""What a SCIM user is here: of RFC 7643's User what a recipient needs. What else a client sends is passed over."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    Patch,
    Required,
    Resource,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)
from scim2_models import User as FullUser

from services.notifier.targets import mail_address
from shared.time import zone

MAX_RESULTS = 200
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")

POLICY = ScimPolicy(
    # Providers send phone numbers, titles and extensions whether a service knows them or not.
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


def _address(text: str | None) -> str | None:
    return None if text is None else mail_address(text)


def _time_zone(name: str | None) -> str | None:
    if name is not None:
        zone(name)
    return name


def language_of(text: str | None) -> str | None:
    """The first language of an `Accept-Language` (RFC 7643, 4.1.1), or of a locale such as `de_DE`."""
    if not text:
        return None
    first = re.split(r"[,;]", text, maxsplit=1)[0].strip().replace("_", "-")
    if len(first) > 35 or not _LANGUAGE.fullmatch(first):
        raise ValueError("a language such as de or en-GB")
    return first


def _language(text: str | None) -> str | None:
    language_of(text)
    return text


def _one_line(text: str | None) -> str | None:
    # A break at the end makes no second line.
    if text is not None and (len(text) > 200 or text.splitlines() not in ([], [text])):
        raise ValueError("at most 200 characters on one line")
    return text


_Short = Annotated[str | None, AfterValidator(_one_line)]


class Name(ComplexAttribute):
    """The parts of a name."""

    formatted: _Short = None
    family_name: _Short = None
    given_name: _Short = None


class Email(ComplexAttribute):
    """An address of mail."""

    value: Annotated[str | None, AfterValidator(_address)] = None
    type: Annotated[str | None, Field(examples=["work", "home", "other"])] = None
    primary: bool | None = None


class User(Resource[Any]):
    """A user, as far as it makes a recipient."""

    __schema__ = URN(str(FullUser.__schema__))

    user_name: Annotated[_Short, Uniqueness.server, Required.true, CaseExact.false] = None
    name: Name | None = None
    Name: ClassVar[type[ComplexAttribute]] = Name
    display_name: _Short = None
    preferred_language: Annotated[str | None, AfterValidator(_language), Field(examples=["en", "de"])] = None
    timezone: Annotated[
        str | None,
        AfterValidator(_time_zone),
        Field(examples=["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC"]),
    ] = None
    active: bool | None = None
    emails: list[Email] | None = None
    Emails: ClassVar[type[ComplexAttribute]] = Email


CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MAX_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=True),
    etag=ETag(supported=False),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="A JWT of the configured issuer with the scope onbelay:recipients.",
            primary=True,
        )
    ],
)
PROVIDER = ScimProvider(models=[User], config=CONFIG, policy=POLICY)
