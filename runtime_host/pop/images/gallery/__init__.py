"""The gallery: a catalogue's pictures as a POP holds them, and how it notices that somebody changed them.

    gallery = Gallery(config.home / "pictures", Places(catalogue_file, art_dir), pool)
    loaded = await gallery.load()              # each picture is checked once per digest, for all workers
    watch = CatalogueWatch(gallery, loaded, adopt)
    await watch.run()                          # looks every 2 s; swaps as a whole; what is broken keeps the last good

gallery   takes pictures in: a copy by digest, checked in a render process
index     what was found out, on disk: the next start and the other workers ask nothing twice
watch     looks, loads, swaps, and says what is broken

Trust: the art directory is *not* trusted: who can write to it changes what is shown next, and breaks nothing that is
shown now. The copies are the POP's own and are compared with their digest whenever they are rendered.
"""

from runtime_host.pop.images.gallery.gallery import Gallery, Originals
from runtime_host.pop.images.gallery.watch import CatalogueWatch

__all__ = ["CatalogueWatch", "Gallery", "Originals"]
