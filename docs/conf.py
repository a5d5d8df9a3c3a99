"""How Sphinx builds the documentation: `python3 dev.py docs`; it needs no network."""

from importlib.metadata import version as installed_version

project = "safetwilio"
author = "The safetwilio contributors"
copyright = author  # noqa: A001 - Sphinx's own name
release = installed_version("safetwilio")
version = release.rpartition(".dev")[0] or release

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"

nitpicky = True
nitpick_ignore_regex = [
    # Other projects' names: without intersphinx, which needs a network, they lead nowhere.
    (r"py:.*", r"(?!safetwilio\.)\w+\..+"),
    (r"py:class", r"(Async)?HttpClient|CredentialProvider|Response"),  # Twilio's, as annotated
    (r"py:class", r"AccessTokenGrant|SecretStr|timedelta"),
    (r"py:class", r"KeyType|State|Kind|Requirement|Severity"),  # names of a Literal
    (r"py:class", r"Flask|~?_P|safetwilio\.integrations\..*\._\w+"),
    (r"py:class", r"Headers|Params"),  # names of a Union
]

html_theme = "furo"
html_title = f"safetwilio {version}"
