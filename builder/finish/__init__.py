"""What happens to a component after componentize-py: steps that make its instances cheap, and change no answer.

    finished = finish(component, wit, world, output)    # finished.steps, finished.refusals

componentize-py leaves some forty core modules, which every new instance links again, and an interpreter that has not
run yet. The rooms, from bytes to order:

    binary        numbers, names and sections of the WebAssembly binary format
    component     which core module gets what from whom, and what the component lifts
    core_module   the parts of one core module
    instructions  where a function body names functions, globals, tables and types
    definitions   what those modules define, through every import and export between them
    link          all that an export or a table reaches, taken apart
    write         the same, numbered and put together as one module
    steps         the order; what a step refuses is left out, and the build says so
"""

from builder.finish.steps import Finished, finish

__all__ = ["Finished", "finish"]
