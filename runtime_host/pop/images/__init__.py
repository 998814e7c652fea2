"""The transform pipeline: from a decision to bytes.

    pool = RenderProcesses(size=2)
    loaded = await Gallery(home / "pictures", Originals(catalogue, art), pool).load()   # checks every picture once
    renderer = Renderer(loaded, RenditionCache(64_000_000), pool)
    recipe = loaded.recipe("home-hero", "alpine-dawn", width=600, dpr=2.0, copy="Find your high line")
    path = sign_path(recipe, key)                                               # for a page
    rendition = await renderer.render(recipe.in_format(negotiate(accept)))      # for bytes

It knows recipes, never people: consent and decisions are made before it, cookies and headers are its caller's.
"""

from runtime_host.pop.images.cache import Rendition, RenditionCache
from runtime_host.pop.images.loading import LoadedCatalogue, load_catalogue
from runtime_host.pop.images.negotiation import negotiate
from runtime_host.pop.images.renderer import Renderer

__all__ = ["LoadedCatalogue", "Renderer", "Rendition", "RenditionCache", "load_catalogue", "negotiate"]
