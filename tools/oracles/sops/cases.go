package main

// A plain file, and how it is encrypted. Keys named in arguments are put in for their names, in braces.
type testCase struct {
	name, format, plain string
	arguments           []string
}

const secret = `apiVersion: v1
kind: Secret
metadata:
  name: login
  labels:
    app: web
type: Opaque
stringData:
  user: admin
  password: "hunter2 äöü 🦀"
  empty: ""
  cert: |
    -----BEGIN CERTIFICATE-----
    line two
    -----END CERTIFICATE-----
data:
  key: aHVudGVyMg==
`

const shapes = `# before all
text: plain
quoted: 'it''s'
"odd key: x": 1
number: 42
negative: -7
octal: 0o17
old: 0755
hex: 0x1F
under: 1_000
float: 1.5
whole: 5.0
tiny: 1e-9
huge: 1e21
big: 9223372036854775807
zeros: 1.50
yes: yes
on: on
truth: true
falsehood: False
null_: null
tilde: ~
empty: ""
nothing:
date: 2024-03-05
time: 2024-03-05T06:07:08.120Z
zoned: 2024-03-05T06:07:08+01:00
spaced: 2024-3-5 6:07:08
like: "2024-03-05"
version: "1.10"
# about the list
list:
  - one
  # between
  - 2
  - 2.5
  - true
  - null
  - [nested, [deeper, 3]]
  - {a: 1, b: {c: d}}
  - ""
  # at the end
empty_list: []
empty_map: {}
deep: {a: {b: {c: {d: [{e: f}]}}}}
literal: |
  one
    two

  three
folded: >-
  one
  two
kept: |+
  one

tab: "a\tb\u0001\u2028"
unicode: "\u00e4\U0001F980"
colon: "a: b # c"
stays_unencrypted: 1.50
tree_unencrypted:
  number: 0755
  list: [1, 2.5, yes, null, "x", 2024-03-05]
`

const aliases = `base: &base
  a: 1
  b: two
merged:
  <<: *base
  c: 3
again: *base
list: [&x one, *x]
`

const documents = `---
apiVersion: v1
kind: Secret
metadata: {name: one}
stringData: {a: first}
---
# only a comment
---
apiVersion: v1
kind: Secret
metadata: {name: two}
stringData: {a: second, number: "5"}
`

const commented = `plain: 1
# encrypt: this
here:
  a: x
  b: 2
list:
  - one
  # encrypt: that
  - two
  - three
inline: value # encrypt: it
last: ENC
`

const jsonObject = `{
  "text": "a<b>&c \u2028 \"q\" \\ / \u00e4 🦀",
  "number": 42, "float": 1.5, "whole": 5.0, "exponent": 1e3, "big": 9007199254740993, "huge": 18446744073709551616,
  "yes": true, "no": false, "nothing": null, "empty": "", "list": [1, [2, {"a": "b"}], [], {}, null, "x"],
  "map": {"z": 1, "a": {"y": 2, "b": 3}}, "stays_unencrypted": {"n": 5, "f": 0.1, "t": "x", "b": true}
}
`

const dotenvLines = `# a comment
USER=admin
PASSWORD=hunter2 = "x" # y
EMPTY=
LINES=one\ntwo
 SPACED = value 
PLAIN_unencrypted=seen
export A=b
`

const iniSections = `; before
[first]
; about it
user = admin
password = "hunter2"
port = 5432
flag = true
comment = a ; tail
[second]
lines = """one
two"""
tick = ` + "`a;b#c`" + `
spaced = "  x  "
empty =
seen_unencrypted = x
"a:b" = c
[empty]
`

var toOne = []string{"--age", "{one}"}

func with(more ...string) []string { return append(append([]string{}, toOne...), more...) }

var cases = []testCase{
	{"secret", "yaml", secret, toOne},
	{"secret-kubernetes", "yaml", secret, with("--encrypted-regex", "^(data|stringData)$")},
	{"secret-kubernetes-mac-only-encrypted", "yaml", secret, with("--encrypted-regex", "^(data|stringData)$", onlyEncrypted)},
	{"shapes", "yaml", shapes, toOne},
	{"shapes-mac-only-encrypted", "yaml", shapes, with(onlyEncrypted)},
	{"shapes-encrypted-suffix", "yaml", shapes, with("--encrypted-suffix", "list")},
	{"shapes-unencrypted-suffix", "yaml", shapes, with("--unencrypted-suffix", "e")},
	{"shapes-unencrypted-regex", "yaml", shapes, with("--unencrypted-regex", "^[a-m]")},
	{"shapes-nothing-encrypted", "yaml", shapes, with("--encrypted-regex", "^none$")},
	{"aliases", "yaml", aliases, toOne},
	{"aliases-plain", "yaml", aliases, with("--encrypted-regex", "^c$")},
	{"documents", "yaml", documents, toOne},
	{"documents-kubernetes", "yaml", documents, with("--encrypted-regex", "^(data|stringData)$")},
	{"encrypted-comments", "yaml", commented, with("--encrypted-comment-regex", "encrypt:")},
	{"unencrypted-comments", "yaml", commented, with("--unencrypted-comment-regex", "encrypt: th")},
	{"comments-mac-only-encrypted", "yaml", commented, with("--encrypted-comment-regex", "encrypt:", onlyEncrypted)},
	{"several-recipients", "yaml", secret, []string{"--age", "{one},{two},{three}"}},
	{"other-recipients", "yaml", secret, []string{"--age", "{two},{three}"}},
	{"ssh-ed25519", "yaml", secret, []string{"--age", "{ssh-ed25519}"}},
	{"ssh-rsa", "yaml", secret, []string{"--age", "{ssh-rsa}"}},
	{"post-quantum", "yaml", secret, []string{"--age", "{post-quantum}"}},
	{"key-groups", "yaml", secret, []string{"--config", "groups.yaml"}},
	{"key-groups-out-of-reach", "yaml", secret, []string{"--config", "groups-far.yaml"}},
	{"objects", "json", jsonObject, toOne},
	{"objects-encrypted-regex", "json", jsonObject, with("--encrypted-regex", "^(text|list)$")},
	{"lines", "env", dotenvLines, toOne},
	{"lines-encrypted-regex", "env", dotenvLines, with("--encrypted-regex", "^PASSWORD$")},
	{"sections", "ini", iniSections, toOne},
	{"sections-mac-only-encrypted", "ini", iniSections, with("--encrypted-regex", "^(password|lines|tick)$", onlyEncrypted)},
	{"bytes", "binary", "\x00\xff\xfe any bytes\r\n\x80", toOne},
	{"text", "binary", "just text\n", toOne},
}
