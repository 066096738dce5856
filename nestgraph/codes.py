"""Every code that a finding may carry, with one sentence on what it means.

Codes are stable: one is never given a second meaning. The documentation lists this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_FILES = {
    "NG100": "A spec's file is missing, unreadable, empty, or no mapping.",
    "NG101": "The file isn't YAML, or uses a part of YAML that specs don't.",
    "NG102": "A key comes twice in one mapping.",
    "NG103": "A key isn't known in its place.",
    "NG104": "A value is of the wrong kind or out of its range.",
    "NG105": "A number that must be whole isn't.",
    "NG106": "A key that is needed is missing.",
    "NG107": "Arithmetic can't be read or carried out.",
    "NG108": "A `$name` that nothing declares, or one that is declared under another name.",
    "NG109": "A var needs its own value.",
    "NG110": "Nesting or aliases grow beyond all bounds.",
    "NG111": "A key isn't a word.",
    "NG112": "`extends` names no spec, or goes round.",
    "NG113": "An override names no place in the spec.",
    "NG114": "A spec has more nodes than fit.",
    "NG120": "A var is used nowhere.",
}
_NAMES = {
    "NG201": "A name is no flow of its block.",
    "NG202": "A memory stands where a flow is due.",
    "NG203": "A name is no memory of its block.",
    "NG204": "A name is no level.",
    "NG205": "A name is no block.",
    "NG206": "A name is taken, or can't be a name.",
    "NG207": "A block is given more or fewer flows than it takes.",
    "NG208": "A block contains itself.",
    "NG209": "`like` goes round.",
    "NG210": "`tie` names no op of its kind, or goes round.",
    "NG211": "A block has no output where one is taken.",
}
_WIDTHS = {
    "NG220": "A list has more or fewer items than what it is for.",
    "NG221": "A coefficient is neither one number nor as wide as its `per` says.",
    "NG222": "Heads don't divide the width that they split.",
    "NG223": "A residual net needs keys and values of one width.",
    "NG224": "A sum, product or quotient takes flows of different widths.",
    "NG225": "Keys, queries or values of one memory differ in width.",
    "NG226": "A slice reaches beyond the head that it cuts.",
    "NG227": "Rotary positions turn channels in pairs, so a head needs an even width.",
    "NG228": "Tied ops have parameters of different shapes.",
    "NG229": "A block of the stack doesn't end in the width of the model.",
    "NG230": "A memory is asked only with its own answers, so its width is open.",
}
_MEANING = {
    "NG310": "A flow needs its own answer within one position.",
    "NG320": "A field has no meaning on attention, which only stores events.",
    "NG321": "A memory without `objective: task` needs values, and keys to store them under.",
    "NG322": "A field on a net or an objective that has no use for it.",
    "NG323": "`implicit` needs one rate a head, and an error or an erase to solve for.",
    "NG324": "Attention has no boundary to be read at.",
    "NG325": "A net is read with a query, a vector without.",
    "NG326": "A `task` memory isn't told what to store.",
    "NG327": "`erase` and `implicit` need keys.",
    "NG328": "A memory has more keys than values, or the other way round.",
    "NG329": "Learned `entries` are for attention.",
    "NG330": "A clock counts tokens where steps run, or steps where tokens run.",
    "NG331": "A memory is reset before its first commit.",
    "NG332": "`init: from` names a memory of another shape, or goes round.",
    "NG333": "A `task` memory on steps is a group of the outer optimizer and has no such field.",
    "NG334": "A rate is below 0.",
    "NG335": "Only an optimizer is given a parameter.",
    "NG336": "An op of optimizers stands in a model.",
    "NG337": "A lookup isn't asked by position, or is too short for its period.",
    "NG338": "An `erase` has a key or a rate and erases nothing.",
    "NG340": "An optimizer's block needs exactly one memory with `init: given`.",
    "NG341": "No group of the optimizer matches some of the parameters.",
    "NG342": "A group of the optimizer comes after one that takes every parameter.",
}
_WARNINGS = {
    "NG401": "An mlp memory commits at every token, which is slow.",
    "NG402": "A level is too long to tick inside one training sequence.",
    "NG403": "A node or an input is never used.",
    "NG404": "A memory is written but never read.",
    "NG405": "A schedule of `training` doesn't fit its steps.",
    "NG406": "A constant retention above 1, or a momentum from 1 on, grows without bound.",
}
_NOT_YET = {
    "NG901": "Nothing runs optimizers written as specs yet.",
    "NG903": "Nothing runs this objective on this level yet.",
    "NG906": "Nothing runs this first state yet.",
    "NG912": "Nothing trains with this optimizer yet.",
}
_RUNS = {
    "NG701": "A data set names no file, folder or shipped text.",
    "NG702": "The data holds too little text.",
    "NG703": "A shipped text is damaged.",
    "NG704": "The data holds tokens that the model doesn't know.",
    "NG711": "There is no such run or checkpoint.",
    "NG712": "A checkpoint is cut short, or another program's.",
    "NG713": "A checkpoint holds no spec, or another version's.",
    "NG714": "The weights of a checkpoint don't fit its spec.",
    "NG721": "A file can't be written.",
    "NG722": "A run would overwrite what is there.",
    "NG723": "There is nothing to train, or nothing to resume.",
    "NG731": "The loss or its gradient is no longer a number.",
    "NG741": "A prompt, or a setting of sampling, is out of its range.",
    "NG742": "A trained model gives scores that are no numbers.",
    "NG801": "A name is no pass of the compiler.",
    "NG802": "`--set` isn't `path=value`.",
    "NG803": "`show` is asked for a node that isn't there.",
    "NG804": "`train` is given no spec, or changes without one.",
    "NG805": "A picture can't be drawn.",
    "NG806": "`explain` is asked for a code that isn't there.",
    "NG807": "A file's ending names no format to export to.",
    "NG808": "`new` is given no name for a spec, or a file that is there.",
    "NG809": "An optional part of nestgraph is not installed.",
    "NG920": "A way of training that nothing supports yet.",
}

CODES: Mapping[str, str] = MappingProxyType(
    _FILES | _NAMES | _WIDTHS | _MEANING | _WARNINGS | _RUNS | _NOT_YET
)
