"""ngx.re.* and ngx.re.split give what they give in nginx (which runs them on PCRE, we on PCRE2)."""

# ruff: noqa: SIM905 (long lists of things without spaces read better as text)

import itertools
import random
from collections.abc import Callable, Sequence

import pytest

Agree = Callable[[Sequence[str]], None]

SEED = 20240229
SPLIT = "require('ngx.re').split"

OPTIONS = "o jo i s m x a u U d jiosm".split()
MALFORMED = r"""
    (abc abc) [abc *a a** a{2,1} (?<n (?<n>a \ (?z) [z-a] (?<1a>x) (?#abc [[:foo:]] (*FOO)a
    \x{110000} (?R + ? a|* (?'n (?: .+( ^b(
""".split()
WORDED_DIFFERENTLY = r"(?P<n>a)(?P<n>b) \2 (?(1)a|b|c) (?<=a+)b \g{ (?( (?<n>a)(?<n".split()
LITERAL_IN_PCRE = r"""
    [\w-.]+@ [\d-z] [a\d-z-] [[:digit:]-z] [\w-.][\d-z]+ \i \y+ [\i-z] \i[\w-.] a\jb
""".split()
TEMPLATES = r"""
    $0 $1 $2 $3 ${1} ${12} $12 $01 $$ $$$ $$1 a$$b$1c $ ${ ${} ${1 ${a} $a ${1a} $1a a$ $- ${-}
    plain \1 $1$2$1 ${0}00 $$$0 $_ $a1
""".split()
REPLACEMENTS = [
    *"12 nil true".split(),
    "function() end",
    "function() return 1.5 end",
    "function() return false end",
    "function() error('oops', 0) end",
    "function(m) return ngx.re.gsub(m[0], '.', '$0-') .. (m[1] or '') end",
]
ATOMS = r"a b . [ab] [^a] \w (a) (b|a) (?:ab) (a(b)?) ^ $ \b".split()
COUNTS = ["", "", "", *"* + ? *? {1,2}".split()]

CASES = [
    ("hello, 1234", "([0-9])[0-9]+"),
    ("hello, 1234", "([0-9])(?<remaining>[0-9]+)"),
    ("hello, world", "(world)|(hello)|(?<named>howdy)"),
    ("hello, world", "([a-z]+)"),
    ("hello, world", "HELLO"),
    ("hello\nworld\n", "^.*$"),
    ("hello\nworld", ".+"),
    ("hello, 美好生活", "(.{2})"),
    ("hello", ""),
    ("", ""),
    ("", "x*"),
    ("hello", "x*"),
    ("hello", "l*"),
    ("a1b2c3", "\\d"),
    ("a1b2c3", "(\\d)"),
    ("a,b,,c,,", ","),
    ("a,b,,c,,", "(,)"),
    ("a b  c", " +"),
    ("abc", "(?=b)"),
    ("abc", "(a)|b|(c)"),
    ("abcd", "(a(b(c(d))))"),
    ("abcd", "(x)?abcd"),
    ("abcd", "a(?:b|c)*+"),
    ("foo.bar", "\\."),
    ("aaa", "a{2}"),
    ("aaa", "(a)\\1"),
    ("ab\0cd", "\\0"),
    ("ABC", "abc"),
    ("a b", "a b # comment"),
    ("foobar", "foo\\Kbar"),
    ("2024-02-29", "(?<y>\\d+)-(?<m>\\d+)-(?<d>\\d+)"),
    ("ab", "(?<n>a)|(?<m>b)"),
    ("no match", "xyz"),
]


def quoted(text: str) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def calls(subject: str, regex: str, options: str) -> list[str]:
    """Every function of ngx.re on the same subject."""
    s, r, o = quoted(subject), quoted(regex), quoted(options)
    return [
        f"ngx.re.match({s}, {r}, {o})",
        f"ngx.re.find({s}, {r}, {o})",
        f"ngx.re.find({s}, {r}, {o}, nil, 1)",
        f"(function() local all, m, err = {{}} local it, bad = ngx.re.gmatch({s}, {r}, {o}) "
        "if not it then return bad end repeat m, err = it() all[#all + 1] = m until not m "
        "return all, err end)()",
        f"ngx.re.sub({s}, {r}, '<$0|$1>', {o})",
        f"ngx.re.gsub({s}, {r}, '<${{0}}|$1$$>', {o})",
        f"ngx.re.gsub({s}, {r}, function(m) return '[' .. m[0] .. ']' end, {o})",
        f"{SPLIT}({s}, {r}, {o})",
    ]


@pytest.mark.parametrize("options", ["", *OPTIONS])
def test_documented_options(agree: Agree, options: str) -> None:
    agree([call for subject, regex in CASES for call in calls(subject, regex, options)])


def test_duplicate_names(agree: Agree) -> None:
    subjects = ["hello, world", "hello", "x, y"]
    regexes = [
        "(?<named>\\w+), (?<named>\\w+)",
        "(?<named>\\w)?(?<named>z)?(?<other>\\w)",
        "(?<a>h)|(?<a>x)|(?<b>y)",
    ]
    agree([c for s in subjects for r in regexes for c in calls(s, r, "D")])


def test_malformed_regexes(agree: Agree) -> None:
    agree([call for regex in MALFORMED for call in calls("abc", regex, "")])


@pytest.mark.parametrize("regex", WORDED_DIFFERENTLY)
def test_malformed_regexes_that_pcre2_words_differently(agree: Agree, regex: str) -> None:
    arguments = f"'abc', {quoted(regex)}"
    agree([f"select('#', ngx.re.{name}({arguments}))" for name in ("match", "find", "gmatch")])
    agree([f"select('#', ngx.re.sub({arguments}, ''))"])
    prefix = "pcre_compile() failed: "
    agree([f"select(2, ngx.re.match({arguments})):sub(1, {len(prefix)})"])


def test_what_pcre_takes_literally_and_pcre2_refuses(agree: Agree) -> None:
    subjects = ["joe.x-y@host", "z-1", "iyjx", "-.", "ajb"]
    agree([call for regex in LITERAL_IN_PCRE for s in subjects for call in calls(s, regex, "jo")])


def test_contexts(agree: Agree) -> None:
    matches = [
        "ngx.re.match('1234, hello', '[0-9]+', '', ctx)",
        "ngx.re.match('1234, hello', '[a-z]+', 'a', ctx)",
        "ngx.re.find('1234, hello', '[0-9]+', 'jo', ctx)",
        "ngx.re.find('1234, hello', '([0-9])([a-z])?', 'jo', ctx, 2)",
        "ngx.re.match('1234, hello', '', '', ctx)",
        "ngx.re.match('1234, hello', 'nope', '', ctx)",
    ]
    contexts = ["{}", *(f"{{pos = {pos}}}" for pos in (1, 2, 0, -3, 12, 13))]
    for match, context in itertools.product(matches, contexts):
        body = f"local ctx = {context} local a, b, c = {match} return a, b, c, ctx"
        agree([f"(function() {body} end)()"])


@pytest.mark.parametrize("nth", ["nil", "0", "1", "2", "3", "4", "-1"])
def test_find_of_a_group(agree: Agree, nth: str) -> None:
    arguments = "'hello, 1234', '([0-9])([0-9]+)(x)?'"
    agree([f"ngx.re.find({arguments}, '{options}', nil, {nth})" for options in ("", "jo")])


@pytest.mark.parametrize("template", ["", "${ 1}", *TEMPLATES])
def test_templates(agree: Agree, template: str) -> None:
    arguments = f"'hello, world', '([a-z])([a-z])[a-z]+', {quoted(template)}, 'o'"
    agree([f"ngx.re.{name}({arguments})" for name in ("sub", "gsub")])


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_replacements_that_are_no_string(agree: Agree, replacement: str) -> None:
    arguments = f"'hello, world', '([a-z])[a-z]', {replacement}"
    agree([f"ngx.re.{name}({arguments})" for name in ("sub", "gsub")])


@pytest.mark.parametrize("subject", ["12", "nil", "true", "1.5"])
def test_subjects_that_are_no_string(agree: Agree, subject: str) -> None:
    agree([f"ngx.re.match({subject}, '.')", f"ngx.re.find({subject}, '.')"])
    agree([f"ngx.re.gsub({subject}, '.', '$0-')", f"{SPLIT}({subject}, '[.]')"])


def test_bad_utf8(agree: Agree) -> None:
    agree([f"ngx.re.match('a\\255b', 'b', '{options}')" for options in ("", "u", "uj", "ud")])
    agree(["ngx.re.find('\\255', 'b', 'u')", "ngx.re.gsub('\\255', 'b', '', 'u')"])
    agree(["ngx.re.match('\\228\\184\\173', '.', 'u', {pos = 2})"])


def test_a_given_table_is_filled(agree: Agree) -> None:
    agree(["ngx.re.match('ab', '(a)(b)?', '', nil, {x = 1})"])
    agree(["ngx.re.match('a', '(a)(b)?', '', nil, {[0] = 'z', 'y', 'x', 'w'})"])
    agree(["(function() local t = {} return ngx.re.match('a', 'a', '', nil, t) == t end)()"])


@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 3, 10])
def test_splitting_with_a_limit(agree: Agree, limit: int) -> None:
    subjects = ["a,b,c,d", ",,a,,b,,", "abc", "", ",", "a,"]
    regexes = [",", "(,)", "", "x*", "(x)?,", ",+"]
    agree([f"{SPLIT}({s!r}, {r!r}, nil, nil, {limit})" for s in subjects for r in regexes])


@pytest.mark.parametrize("position", ["nil", "1", "2", "3", "5", "6", "7", "0", "-2"])
def test_splitting_from_a_position(agree: Agree, position: str) -> None:
    for regex, limit in itertools.product([",", "", "(,)"], [0, 2]):
        context = f"local ctx = {{pos = {position}}}"
        split = f"local fields, err = {SPLIT}('a,b,c', {regex!r}, '', ctx, {limit})"
        agree([f"(function() {context} {split} return fields, err, ctx.pos end)()"])


def test_splitting_into_a_table_and_failing(agree: Agree) -> None:
    tables = ["{}", "{'x', 'y', 'z', 'w'}", "'no'"]
    agree([f"{SPLIT}('a,b', ',', nil, nil, nil, {table})" for table in tables])
    agree([f"{SPLIT}('a,b', '(')", f"{SPLIT}('a\\255b', ',', 'u')", f"{SPLIT}('', ',')"])


def test_generated_regexes(agree: Agree) -> None:
    rng = random.Random(SEED)
    expressions = []
    for _ in range(150):
        atoms = rng.choices(ATOMS, k=rng.randrange(1, 4))
        regex = "".join(a if a in "^$\\b" else a + rng.choice(COUNTS) for a in atoms)
        subject = "".join(rng.choices("ab ,", k=rng.randrange(8)))
        expressions += calls(subject, regex, rng.choice(["", "o", "jo", "i", "m", "j"]))
    agree(expressions)
