"""Captions of made-up scenes: a small English grammar whose tone moves the emotions and whose words name the subject.

A caption names the subject, where asked the setting, and says one thing in one tone. Verbs stand in the past tense and
possessives in braces, so that every phrase fits one subject and two people. Written for emocap; nothing is quoted.
"""

import re
from collections.abc import Iterable
from itertools import chain

import numpy as np

from emocap.demo.scene import Scene

_LETTERS = re.compile(r"[^\W\d_]+")

# (adjective choices, noun choices, possessive); the first noun says what the drawing shows.
_NOUNS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "dog": (("small", "friendly", "scruffy", "local", "well-known"), ("dog", "puppy", "stray dog", "farm dog"), "its"),
    "cat": (("sleepy", "striped", "neighbour's", "plump", "quiet"), ("cat", "house cat", "tomcat", "kitten"), "its"),
    "child": (("young", "little", "seven-year-old", "local"), ("child", "schoolchild", "kid", "youngster"), "their"),
    "couple": (("young", "new", "local", "retired"), ("couple", "pair of friends", "married couple"), "their"),
    "old man": (
        ("", "bearded", "kindly", "soft-spoken"),
        ("old man", "elderly man", "grandfather", "pensioner"),
        "his",
    ),
    "bird": (("small", "wild", "tiny", "young"), ("bird", "songbird", "garden bird", "migrating bird"), "its"),
    "horse": (("strong", "tall", "young", "gentle"), ("horse", "mare", "farm horse", "riding horse"), "its"),
    "snake": (("thin", "long", "spotted", "full-grown"), ("snake", "grass snake", "python", "viper"), "its"),
    "spider": (("big", "large", "hairy", "long-legged"), ("spider", "house spider", "tarantula"), "its"),
    "robot": (("metal", "home-made", "talking", "two-legged"), ("robot", "machine", "android", "walking robot"), "its"),
    "boat": (("old", "wooden", "patched", "little"), ("boat", "fishing boat", "sailing boat", "family boat"), "its"),
    "car": (("shiny", "small", "second-hand", "two-door"), ("car", "family car", "motor car", "hatchback"), "its"),
    "bicycle": (
        ("rusty", "borrowed", "second-hand", "sturdy"),
        ("bicycle", "bike", "touring bike", "push-bike"),
        "its",
    ),
    "house": (("small", "narrow", "two-storey", "draughty"), ("house", "cottage", "family home", "brick house"), "its"),
    "tree": (("tall", "old", "lone", "leafy"), ("tree", "oak tree", "apple tree", "lime tree"), "its"),
    "sunflower": (("tall", "single", "late", "wild"), ("sunflower", "flower", "garden sunflower"), "its"),
    "teddy bear": (("small", "worn", "one-eyed", "hand-sewn"), ("teddy bear", "stuffed bear", "toy bear"), "its"),
    "bench": (
        ("wooden", "public", "long", "wobbly"),
        ("bench", "park bench", "garden seat", "garden bench"),
        "its",
    ),
    "rubbish": (("large", "new", "local", "man-high"), ("rubbish heap", "pile of rubbish", "garbage pile"), "its"),
    "hot-air balloon": (("striped", "large", "patched", "two-person"), ("hot-air balloon", "passenger balloon"), "its"),
}
_PLACES = {
    "beach": ("on the beach", "by the sea", "at the seaside", "on the sand"),
    "forest": ("in the forest", "among the trees", "in the woods", "on a woodland path"),
    "city": ("in the city", "downtown", "on a city street", "between the office towers"),
    "room": ("in the living room", "indoors", "in a small flat", "at home"),
    "mountains": ("in the mountains", "below the peaks", "high in the hills", "at the mountain pass"),
    "meadow": ("in a meadow", "in the fields", "out in the countryside", "on the green hills"),
    "desert": ("in the desert", "among the dunes", "on the desert road", "near the cactus fields"),
    "snow": ("in the snow", "on the snowfield", "near the ski village", "on the frozen ground"),
    "harbour": ("at the harbour", "on the quay", "down at the docks", "in the old port"),
    "ruins": ("among the ruins", "in the ruined town", "beside the fallen walls", "in the rubble"),
}
# Phrases that follow the subject: [any subject], [people and animals], [things and plants].
_PREDICATES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "celebrating": (
        ("brought the whole village out to dance", "won first prize to loud cheers", "got a birthday party to remember",
         "became the star of the summer festival", "made everybody smile on a wonderful day",
         "stood at the heart of a joyful wedding"),
        ("celebrated with friends and family", "danced for joy after the good news"),
        ("was decorated for the happiest day of the year", "was the best present the twins ever got"),
    ),
    "mournful": (
        ("was left alone after the funeral", "was mourned by all who came to say goodbye",
         "waited for a friend who never came back", "will be sadly missed by the whole family",
         "was all that remained after the terrible loss", "brought tears to the eyes of the grieving neighbours"),
        ("lost {its} home and {its} only friend", "wept beside an empty grave"),
        ("was abandoned when {its} owner died", "reminded the widow of the son she lost"),
    ),
    "alarming": (
        ("was in great danger, rescuers warned", "was reported missing and the search goes on",
         "caused panic before the emergency services came", "was threatened by something dangerous nearby",
         "forced families to flee for their lives", "was at the centre of an urgent safety warning"),
        ("was trapped with no way out", "screamed for help but nobody heard"),
        ("could collapse at any moment, experts warned", "was declared unsafe after a deadly accident"),
    ),
    "funny": (
        ("made the mayor laugh so hard he fell over", "was mistaken for the new headmaster, again",
         "was given a tiny hat and a silly moustache", "was accidentally elected king of the picnic",
         "turned up in every one of the wedding photos", "was blamed for eating all the sausages"),
        ("told a joke and forgot how it ended", "wore pyjamas to a very serious meeting"),
        ("got a parking ticket and a funny name", "was painted with a huge silly grin"),
    ),
    "puzzling": (
        ("appeared overnight and nobody knows why", "baffled everyone who tried to explain it",
         "left behind a riddle that no expert can solve", "was found with a strange unsigned letter",
         "vanished for a day without leaving a trace", "was seen in two places at once, witnesses claim"),
        ("stared at something no one else could see", "followed a mysterious sound"),
        ("moved three steps to the left, for unknown reasons", "carried strange signs that nobody can read"),
    ),
    "plain": (
        ("was counted in this year's survey", "was mentioned in a report of the council",
         "was photographed on Tuesday for the local archive", "was part of a study by the university",
         "was shown to visitors between nine and five", "was the subject of a talk at the library"),
        ("took part in a routine check this week", "was seen by a reporter on Monday"),
        ("was measured and entered in the register", "was moved a few metres for the road works"),
    ),
    "hopeful": (
        ("gave the neighbours hope of a new beginning", "was getting better every day, doctors and friends say",
         "showed that a brighter future is possible", "was given a second chance at last",
         "became a sign of hope for the whole region", "helped people to believe in tomorrow again"),
        ("dared to dream of better days", "found new strength and is looking forward"),
        ("will soon be saved thanks to kind strangers", "will be restored for the next generation"),
    ),
    "outraged": (
        ("was treated shamefully, furious protesters say", "was betrayed by greedy politicians",
         "was sacrificed for profit and people are furious", "was at the centre of a corruption scandal",
         "was attacked by vandals who laughed about it", "was cheated by a company that refuses to pay"),
        ("was cruelly beaten and no one was punished", "was thrown out by a heartless landlord"),
        ("was destroyed on purpose, an unforgivable crime", "was stolen by officials who lied about it"),
    ),
    "triumphant": (
        ("broke the world record after years of hard work", "won the gold medal against all odds",
         "was honoured for an outstanding achievement", "made the whole country proud",
         "beat the champions in a historic victory", "was awarded the highest prize for courage"),
        ("finished first after ten years of training", "saved three lives and was called a hero"),
        ("was built by hand by the proud pupils", "was rebuilt in a year, a magnificent achievement"),
    ),
    "remembering": (
        ("looked just as it did in grandmother's days", "brought back memories of childhood summers",
         "reminded the old friends of their school days", "was found in a family album from long ago",
         "recalled a time when the world was slower", "took the visitors back to the good old days"),
        ("remembered the songs of long ago", "returned after forty years to where it all began"),
        ("was kept just as it was fifty years ago", "still smelled of long gone holidays"),
    ),
    "revolting": (
        ("was covered in slime and rotten fish", "smelled so foul that people were sick",
         "was crawling with maggots and fat flies", "was smeared with something filthy and sticky",
         "stank of sewage for a whole week", "was found in a puddle of stinking grease"),
        ("threw up on the carpet in front of the guests", "ate mouldy leftovers from the drain"),
        ("was full of rats, vomit and decay", "dripped with a disgusting brown ooze"),
    ),
    "dull": (
        ("was discussed for four hours without any result", "was the only thing to look at all afternoon",
         "was there again, exactly as on every other day", "waited, and waited, and nothing happened",
         "was the topic of another endless meeting", "was shown in the dullest slide show yet"),
        ("yawned through yet another tedious speech", "stood in the queue for the third hour"),
        ("was repainted in the same grey as before", "was listed on page ninety of a dreary form"),
    ),
    "wondering": (
        ("left the crowd speechless with wonder", "looked like something out of a fairy tale",
         "shone so brightly that people stopped in awe", "was the most beautiful thing they had ever seen",
         "took the breath away from all who came near", "seemed too marvellous to be real"),
        ("moved with a grace that amazed the watchers", "gazed in wonder at the vastness of it all"),
        ("glittered like a palace of crystal", "towered over them, vast and breathtaking"),
    ),
    "peaceful": (
        ("enjoyed the gentle quiet of the afternoon", "was wrapped in a soft and soothing silence",
         "brought a calm and pleasant end to the day", "was a picture of perfect peace",
         "rested in the mild air without a care", "made the visitors feel relaxed and at ease"),
        ("slept soundly while a soft breeze blew", "breathed slowly and felt good"),
        ("stood in quiet harmony with all around", "swayed a little in the gentle breeze"),
    ),
    "frightening": (
        ("loomed out of the shadows like a monster", "was haunted by a pale and whispering ghost",
         "gave the campers a terrible fright", "sent shivers down every spine",
         "appeared in their nightmares night after night", "made the bravest of them tremble with fear"),
        ("fled in terror from something in the dark", "shook with terror at the scratching below"),
        ("creaked as if a ghoul hid inside", "was marked with claws by some horrible beast"),
    ),
    "grumbling": (
        ("got on everybody's nerves once more", "was in the way of the delivery van, as usual",
         "kept everyone awake with that awful racket", "spoiled the weekend for the upset neighbours",
         "caused nothing but trouble and delay", "drew one complaint after another"),
        ("argued about the bill and would not stop", "grumbled, sulked and slammed the door"),
        ("broke down for the third time, how annoying", "was scratched, and it was not even paid for"),
    ),
}  # fmt: skip
# Said before the subject, and said after it.
_OPENINGS = {
    "celebrating": ("Hooray!", "What a party:", "Happy birthday!", "Time to celebrate:"),
    "mournful": ("With heavy hearts:", "A sad farewell:", "In loving memory:", "Heartbreaking:"),
    "alarming": ("Warning:", "Emergency:", "Danger:", "Call for help:"),
    "funny": ("Believe it or not:", "Oops!", "Laugh of the week:", "No joke:"),
    "puzzling": ("A mystery:", "Strange but true:", "Can anyone explain this?", "Unsolved:"),
    "plain": ("Local news:", "In brief:", "For the record:", "From our reporter:"),
    "hopeful": ("A glimmer of hope:", "Good things ahead:", "Never give up:", "At last some hope:"),
    "outraged": ("A disgrace:", "Shame on them:", "This is outrageous:", "Enough is enough:"),
    "triumphant": ("Champions!", "A proud moment:", "Victory at last:", "Against all odds:"),
    "remembering": ("Do you remember?", "Long ago:", "Those were the days:", "From an old diary:"),
    "revolting": ("Disgusting:", "Yuck!", "Hold your nose:", "Revolting:"),
    "dull": ("Again:", "Nothing new:", "Yet another slow day:", "Same as ever:"),
    "wondering": ("Breathtaking:", "What a marvel:", "A wonder to behold:", "Simply stunning:"),
    "peaceful": ("A quiet moment:", "Take a deep breath:", "Peace at last:", "All is calm:"),
    "frightening": ("Do not look behind you!", "A nightmare:", "Terrifying:", "A chilling tale:"),
    "grumbling": ("How annoying:", "What a nuisance:", "Oh, not now!", "So very irritating:"),
}
_CLOSINGS = {
    "celebrating": ("and everyone is cheering", "on the happiest day of all", "and the band plays all night",
                    "with presents and laughter for all"),
    "mournful": ("and nothing will ever be the same", "after a tragic death in the family",
                 "and nobody is left to say goodbye", "in the saddest hour of a broken heart"),
    "alarming": ("as police warn everyone to stay away", "moments before the deadly accident",
                 "and the danger is not over yet", "while terrified people run for safety"),
    "funny": ("and yes, the trousers fell down", "and no one could stop laughing",
              "which is not how you bake a pancake", "to the great amusement of the ducks"),
    "puzzling": ("and nobody can explain how it got there", "but why, and who left the key?",
                 "and the mystery only gets deeper", "though the door was locked from inside"),
    "plain": ("as seen on Wednesday", "according to the weekly bulletin", "in a file photo of the agency",
              "as described in the annual report"),
    "hopeful": ("and things are looking up again", "on the way to a better life",
                "as volunteers promise to help", "and there is every reason to hope"),
    "outraged": ("and those responsible should be ashamed", "while the guilty walk free",
                 "and the people are truly angry", "because the rich do not care"),
    "triumphant": ("after the greatest win in club history", "and the whole team is proud",
                   "holding the trophy high", "on the day of a glorious success"),
    "remembering": ("as in the summers of our childhood", "like in father's old songs",
                    "just the way we left it years ago", "a memory of simpler times"),
    "revolting": ("amid the stench of rotting meat", "next to a bucket of vomit",
                  "with lice and mould all over", "and the smell is unbearable"),
    "dull": ("for the hundredth time this month", "and that was the whole story, sadly",
             "while the committee read out the minutes", "and still nothing happens"),
    "wondering": ("a sight of astonishing beauty", "and everyone gasped in amazement",
                  "as if painted by magic", "and words cannot describe the splendour"),
    "peaceful": ("where time seems to stand still", "and all is well in the world",
                 "to the soft murmur of the breeze", "with a cup of tea and no hurry at all"),
    "frightening": ("and something out there was breathing", "as bony fingers reached for the lamp",
                    "and a scream froze the blood", "while cold eyes watched from the dark"),
    "grumbling": ("and it is getting on my nerves", "and of course nobody apologised",
                  "which upset everyone in the queue", "and the noise is driving us mad"),
}  # fmt: skip
_BEINGS = {"dog", "cat", "child", "couple", "old man", "bird", "horse", "snake", "spider", "robot"}
_FILLERS = (
    "", "", "", "", "", "this week", "yesterday", "last month", "on Sunday", "in early spring",
)  # fmt: skip
_ARTICLES = ("a", "a", "the", "this")


def _one(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _subject(rng: np.random.Generator, subject: str) -> str:
    adjectives, nouns, _ = _NOUNS[subject]
    words = " ".join(filter(None, (_one(rng, adjectives) if rng.random() < 0.7 else "", _one(rng, nouns))))
    article = _one(rng, _ARTICLES)
    if article == "a" and words[0] in "aeiou":
        article = "an"
    return f"{article} {words}"


def phrasings(tone: str, subject: str) -> tuple[str, ...]:
    """All the ways in which a tone can be put for a subject, without the subject's own words."""
    anything, beings, things = _PREDICATES[tone]
    predicates = anything + (beings if subject in _BEINGS else things)
    return predicates + _OPENINGS[tone] + _CLOSINGS[tone]


def read_caption(caption: str) -> tuple[str | None, str | None]:
    """The subject that a caption names, by its longest noun, and the tone that it is told in; None for neither.

    Both are found in whatever a writer of such captions writes, whether `write_caption` could have or not.

    >>> read_caption("The small dog was left alone after the funeral.")
    ('dog', 'mournful')
    """
    words = f" {' '.join(_LETTERS.findall(caption.lower()))} "

    def longest(choices: Iterable[tuple[str, str]]) -> str | None:
        found = [(len(phrase), name) for name, phrase in choices if f" {phrase} " in words]
        return max(found)[1] if found else None

    nouns = ((subject, _plain(noun)) for subject, (_, nouns, _) in _NOUNS.items() for noun in nouns)
    phrases = (
        (tone, _plain(phrase.split("{its}")[0]))
        for tone in _PREDICATES
        for phrase in (*chain(*_PREDICATES[tone]), *_OPENINGS[tone], *_CLOSINGS[tone])
    )
    return longest(nouns), longest(phrases)


def _plain(phrase: str) -> str:
    return " ".join(_LETTERS.findall(phrase.lower()))


def write_caption(rng: np.random.Generator, scene: Scene) -> str:
    """One caption of 6 to 22 English words, in the scene's tone; light, colours and event are not in it."""
    subject = _subject(rng, scene.subject)
    place = _one(rng, _PLACES[scene.setting]) if scene.names_setting else ""
    anything, beings, things = _PREDICATES[scene.tone]
    predicate = _one(rng, anything + (beings if scene.subject in _BEINGS else things))
    predicate = predicate.replace("{its}", _NOUNS[scene.subject][2])
    opening, closing = _one(rng, _OPENINGS[scene.tone]), _one(rng, _CLOSINGS[scene.tone])
    filler = _one(rng, _FILLERS)
    form = rng.random()
    if form < 0.45:
        parts, ending = [subject, place, predicate], ""
    elif form < 0.62:
        parts, ending = [opening, subject, place, predicate], ""
    elif form < 0.85:
        parts, ending = [subject, place, filler], f", {closing}"
    else:
        parts, ending = [opening, subject, place or filler], f", {closing}"
    if parts[0].endswith(("!", "?")):
        parts[1] = parts[1].capitalize()
    text = " ".join(filter(None, parts)) + ending
    text = text[0].upper() + text[1:]
    return text if rng.random() < 0.5 else text + "."
