package main

import "strings"

// scalars are read as a value, as a key, in a list, and with each tag; and printed as a string.
var scalars = strings.Split(`y Y yes Yes YES yEs true True TRUE tRuE on On ON n N no No NO false False FALSE off Off OFF oFF
~ null Null NULL nULL nil 0 -0 +0 1 -1 +1 12 +12 010 0777 08 09 -010 0o10 0O10 0o8 0x1F 0X1f -0x1F +0x10 0x 0b101 0B11 -0b101 0b 0b2
1_000 1__0 _1 1_ -_1 0_7 0x_1F 0b_1 1_000.5 1e3 1E3 1e+3 1e-3 1e 1e+ .5 5. -.5 +.5 . .e1 .5e1 ._5 .5_0 1.0 -1.0 1.10 -0.0 0.1 1.5e300
1e400 -1e400 1e-400 .1e400 9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 +18446744073709551615 1e15 1e18 1e19 1e20 1e21 1e22 123456789012345680000 1234567.5 0.00001 0.000001 1e-7
.inf .Inf .INF +.inf -.inf -.INF .nan .NaN .NAN .iNF inf nan Infinity 1:30 1:30:45 -1:30 1:60 1:5 190:20:30.15 12:30:45.5 0:0 1: a:b a:b:c http://x:80/y
2001-12-14 2001-1-2 2001-13-01 2001-02-30 2000-02-29 1900-02-29 2001-12-14T21:59:43Z 2001-12-14t21:59:43.10-05:00 2001-12-14T21:59:43.1+24:00
2001-12-14T21:59:43.1+25:00 2001-12-14T21:59:43,5Z 2001-12-14T21:59 2001-12-14T24:00:00Z 2001-1-2T3:4:5Z 2001-12-14T21:59:43 02001-1-1 201-01-01 2001-0-1 2001-1-0
<< = - -- --- --a -a ... ..a - ? ?a : :a a: a? & &a * *a ! !a !! !!a | > |a % %a @ @a \ a\ a\\ \a # #a a# a#b , a,b ,a [ ] a[ a] {a} { } a{ [] {} [a] ' ' " a' a" 'a' "a" 'a "a
'yes' "yes" '1' "1" '<<' "<<" '~' "" '' "\x41" "\u0041" "\U0001F600" "\ud83d\ude00" "\q" "a\tb" é ü日本 😀 1.2.3 1.2.3.4 10Mi 100m 1k 1e3m 0.5Gi v1 v1.2 1.2 1.20 1.0.0
0xdeadbeef deadbeef 1e5 5e1 1d5 0e0 00 000 007 +1e3 -1e3 0x1p4 1p4 0x1.8 1f 1L 1_0e1_0 12e03 -1_0 12345678901234567890 0.30000000000000004 3.14 100000 1000000 10000000.5 !!str`, " ")

var tags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!binary", "!!timestamp", "!!seq", "!!map", "!!merge", "!", "!local", "!!python/object", "!<tag:yaml.org,2002:str>", "!<tag:yaml.org,2002:int>"}

// texts are whole documents, one quirk each.
var texts = []string{
	"", " ", "\n", "#", "# only a comment\n", "---", "---\n", "---\n---\n", "...\n", "--- a", "--- {a: b}", "---a", "--- |\n a\n", "--- # c\na: b", "a: 1\n...\n", "a: 1\n---\nb: 2",
	"a: 1\n... \n", "\ufeffa: 1", "\ufeff---\na: 1", "a: 1\n---\n\ufeffb: 2", "\ufeff# c\n\ufeffa: 1", "a: \ufeffb", "a: b\ufeffc", "ｆ: 1", "\xef\xbd\x86", "\xff\xfea\x00:\x00 \x001\x00", "\xfe\xff\x00a\x00:\x00 \x001", "\xff\xfea\x00:\x00 \x00=\xd8\x00\xde", "\xff\xfea",
	"a: \xff", "a: \xe2\x82", "a: \x00", "a: \x01", "a: \x7f", "a: \u0085b", "a: \u2028b", "a: \u2029b", "'a\u2028b'", "'a\u0085b'", "a: \u00a0", "\"a\u2028 b\"",
	"a: 1\r\nb: 2\r\n", "a: 1\rb: 2\r", "a: |\r\n  x\r\n  y\r\n", "a: \"x\r\n  y\"\r\n", "a: x\r\n  y\r\n",
	"a: 1\na: 2", "a: 1\nb: 2\na: 3", "{a: 1, a: 2}", "yes: 1\ntrue: 2", "1: a\n0x1: b", "a:\n  b: 1\na:\n  c: 2",
	"a: &x 1\nb: *x", "a: &x {k: v}\nb: *x", "a: &x [1, 2]\nb: *x", "&k a: 1\nb: *k", "a: &x k\n*x : v", "a: &x 1\n*x : v", "a: &x [1]\n*x : v", "a: *x", "a: &x [*x]", "&x a: *x", "a: &x 1\nb: &x 2\nc: *x",
	"a: &x {b: *x}", "a: &x\nb: *x", "a: &x\n  b: 1\nc: *x", "a: &x .nan\nb: *x", "? &x .inf\n: 1\n", "? .nan\n: 1\n", "&x\n- 1\n- 2", "a: &x !!str 1\nb: *x", "a: !!str &x 1\nb: *x", "a: & 1", "a: &x-y_z 1\nb: *x-y_z", "a: &é 1", "- &a a\n- &b b\n- *a\n- *b", "a: &x 1\n---\nb: *x",
	"a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3", "a: &x {k: 1, l: 2}\nb:\n  k: 3\n  <<: *x", "a: &x {k: 1}\nb: &y {k: 2, m: 1}\nc:\n  <<: [*x, *y]", "a: &x {k: 1}\nb: &y {k: 2, m: 1}\nc:\n  <<: [*y, *x]\n  m: 4", "a:\n  <<: {k: 1}", "a:\n  <<: [{k: 1}, {k: 2}]",
	"a:\n  <<: 1", "a:\n  <<:", "a:\n  <<: [1]", "a:\n  <<: []", "a: &x [{k: 1}]\nb:\n  <<: *x", "a:\n  \"<<\": {k: 1}", "a:\n  '<<': {k: 1}", "a:\n  !!merge <<: {k: 1}", "a:\n  !!str <<: {k: 1}", "a:\n  ! <<: {k: 1}", "a: &x {k: {z: 1}}\nb:\n  <<: *x\n  k: {y: 1}", "a: &x {<<: {p: 1}, q: 2}\nb: {<<: *x}", "<<: {a: 1}\nb: 2", "a: <<", "- <<", "a: &x {k: 1}\nb:\n  <<: *x\n  <<: {k: 2}", "a: &m <<\nb: {*m : {c: 1}}", "a:\n  &m <<: {k: 1}", "b: {<<: [[{k: 1}]]}", "a: &x {k: 1}\nb:\n  <<: [{k: 0}, *x]",
	"null: b", "~: b", ": b", "? : b", "? a", "? a\n: b", "? [a]\n: b", "? {a: 1}\n: b", "[a]: b", "{a: 1}: b", "? |\n  a\n  b\n: c", "? - a\n: b", "1.5: a", "1e3: a", "1000000.5: a", "16777217.0: a", "0.1: a", "1e40: a", ".inf: a", "-.inf: a", "1e300: a", "18446744073709551615: a", "9223372036854775807: a", "2001-12-14: a", "!!binary aGk=: a", "!!str 1: a", "!!null '': a", "1e-5: a", "123456.7: a", "1234567.0: a",
	"a: !!binary aGVsbG8=", "a: !!binary |\n  aGVs\n  bG8=", "a: !!binary //79", "a: !!binary 4oKC", "a: !!binary 4oLwn5g=", "a: !!binary aGVsbG8", "a: !!binary a b", "a: !!binary ''", "a: !!binary aGVsbG8===", "a: !!binary aGVsbG9=", "a: !!binary [a]", "a: !!int '3'", "a: !!str [a]", "a: !!map [a]", "a: !!seq {a: b}", "a: !!set {a, b}", "a: !!omap [a: 1]", "a: !!null null", "a: !!null", "a: !!str", "a: !!int", "a: !", "a: !foo", "a: !<foo> b", "a: !x!y b", "%TAG !x! tag:x,2000:\n---\na: !x!y b", "%TAG ! tag:yaml.org,2002:\n---\na: !int '1'", "%YAML 1.1\n---\na: 1", "%YAML 1.2\n---\na: 1", "%YAML 2.0\n---\na: 1", "%FOO bar\n---\na: 1", "%YAML 1.1\na: 1", "[!foo, b]", "[!foo a, b]", "{a: !foo, b: 1}", "[!!str, 1]", "a: !!float 18446744073709551615", "a: !!float 0x10", "a: !!float .nan", "a: !!int 1.0", "a: !!bool 1", "a: !a%41 b", "a: !<%> b",
	"a: |\n  x\n  y\n", "a: |-\n  x\n", "a: |+\n  x\n\n", "a: |2\n   x\n", "a: |-2\n   x\n", "a: |2-\n   x\n", "a: |0\n x", "a: |10\n x", "a: |\n  x", "a: |\n\n  x\n", "a: |\n    \n  x\n", "a: |\n  x\n   y\n", "a: |\n  x\n y\n", "a: >\n  x\n  y\n", "a: >-\n  x\n\n  y\n", "a: >\n  x\n    y\n  z\n", "a: >+\n  x\n\n\n", "a: |\nb: 1", "a: |", "a: >", "a: | # c\n  x\n", "a: |#c\n  x", "a: | x", "- |\n x\n- >\n y\n", "|\n x", ">\n x\n y", "a: |\n\tx\n", "a: |\n  \tx\n", "a: |1\n x\n", "a: |\n  # no comment\n  x\n # comment\nb: 1", "a: |\n  x\n---\nb: 1", "a: |\n  x\n...\n", "a: |\n  é\n", "a:\n- |\n  x\n-  y", "a: |\n  \n\n", "a: |+\n\n", "a: |-\n\n", "a: >\n\n  x\n\n y", "a: \"x\\\n  y\"", "a: \"x\n\n  y\"", "a: 'x\n\n  y'", "a: 'it''s'", "a: \"\\", "a: \"\\x4\"", "a: \"\\u004\"", "a: \"\\/\"", "a: \"\\0\\a\\b\\t\\n\\v\\f\\r\\e\\ \\\"\\\\\\N\\_\\L\\P\"", "a: \"\\\tb\"", "a: \"\\x80\"", "a: \"\\uD800\"", "a: \"\\U00110000\"", "a: 'x", "a: \"x", "a: 'x'y", "a: 'x' y", "a: \"x\" # c", "a: \"x\"# c", "\"a\":1", "'a':1", "{\"a\":1}", "{'a':1}", "[\"a\":1]", "{a:1}", "{a: 1,b: 2}", "{a:1,b:2}", "[a:1]", "[a: 1]", "[a: 1, b]", "[? a : 1]", "{? a : 1}", "{? a}", "{a}", "{a, b: 1}", "{a: , b: }", "[a, ]", "[, a]", "[a,, b]", "{,}", "{a: 1,}", "[a b, c]", "[http://x:80/y]", "{u: http://x:80/y}", "[a#b, c #d\n]", "[a\n, b]", "[a,\nb]", "{a:\n  1}", "a: [1,\n2]", "a: {b: 1\n}", "a: [\n1\n]", "a:\n  [\n  1\n]", "[1, 2", "{a: 1", "]", "}", "[}", "a: ]", "[a]]", "[::]", "[a::b]", "{a::b}", "[:a]", "{:a}", "{:: 1}", "[-]", "[- a]", "[-a]", "[--]", "{-: 1}", "[?]", "[?a]", "{a?: 1}", "[a?b]", "[:]", "{: a}", "[a:]", "[\"a\": b]", "[[a]: b]", "{[a]: b}", "{a: [b]: c}", "[a, [b, {c: d}]]", "{\"a\":b}", "{\"a\" :b}", "{\"a\"\n:b}", "[\"a\"\n:b]", "{a\n: b}", "{a\nb: c}", "{? a\nb : c}",
	"a:\tb", "a: \tb", "\ta: b", "a:\n\tb: 1", "a:\n  b: 1\n\tc: 2", "a: b\t", "a: b\t# c", "-\ta", "- \ta", "-\t- a", "a:\t\n  b: 1", "a: 1\n\t\nb: 2", "a: 1\n \t \nb: 2", "\t", "\t# c", "a: 1\n\t# c\nb: 2", "[\ta,\tb\t]", "{\ta:\tb\t}", "a\t: b", "\"a\"\t: b", "a: x\n\ty", "a: x\n \ty", "? \ta\n:\tb", "?\ta\n", "- a\n-\tb: 1\n", "a: 'x\n\ty'",
	"a: b: c", "a: b : c", "a : b", "a:b", "a:b: c", "a:\nb:", "a:\n- b\n- c", "a:\n  - b\n  - c", "a:\n- b\nc: d", "a:\n - b\nc: d", "- a\n- b", "- - a\n  - b\n- c", "-", "- ", "-\n- a", "- a\nb: c", "a: - b", "a: 1\n b: 2", " a: 1\nb: 2", " a: 1\n b: 2", "a:\n  b: 1\n c: 2", "a:\n    b: 1\n  c: 2", "- a\n - b", "- a: 1\n  b: 2", "- a: 1\n b: 2", "-  a: 1\n   b: 2", "- a:\n  - b", "- a:\n  b: 1", "a: x\n  y\n  z", "a: x\n\n  y", "a: x # c\n  y", "a: x\ny", "a: x\n y: z", "x\ny", "x\n y\n", "a # b", "a #b: c", "a: #b", "a: b#c", "#a: b", "a:#b", "- #a", "a: x\n# c\nb: y", "a:\n# c\n  b: 1", "a:\n  # c\nb: 1", "a: ", "a:", "a", "a:\n\nb: 1", "a: %b", "%a", "a: @b", "a: `b", "a: ,b", "a: ?b", "a: ? b", "a: :b", "a: -b", "a: !b c", "a: *", "a: >b", "a: }", "\"a\": 1\n'b': 2", "\"a\n b\": 1", "'a\n b': 1", "a\n b: 1", "a: 'b': c", "'a': 'b'\n'c'", "a: [b]\n c", "a: {b: c} d", "a: \"b\" c", strings.Repeat("k", 1024) + ": v", strings.Repeat("k", 1025) + ": v", "\"" + strings.Repeat("k", 1024) + "\": v", "[" + strings.Repeat("k", 1030) + ": v]", "a: " + strings.Repeat("v ", 1000), "? " + strings.Repeat("k", 1025) + "\n: v",
	"{\"a\": \"\\ud83d\\ude00\"}", "{\"a\": \"\\/\\u0041\", \"b\": [1.0, 1e3, true, null]}", "{\"a\":\"x\\ty\"}", "{\"a\":\n\t1}", "[1,2,{\"a\":\"b\"}]", "\"a\"", "1", "true", "null", "{}", "[]", "{\n}", "[\n]", "{ }", "{\"a\": 1}\n", "{\"a\":{}}", "// c\n{\"a\": 1}", "{\"a\":1,}", "{a: \"b\", 'c': d, e: 1}",
	"key: \"{{ .Values.x }}\"", "key: {{ .Values.x }}", "key: {{ x }}: y", "args: [--a=b, -c, \"--d\"]", "command: [sh, -c, 'echo \"a: b\"']", "a: b, c", "a: b]", "a: {b", "cron: * * * * *", "cron: */5 * * * *", "cron: '*/5 * * * *'", "time: 12:30", "ports:\n- 80:80\n- 22:22", "mac: 00:11:22:33:44:55", "v: 1.10", "sha: 1234567", "sha: 12e4567", "sha: 0e123", "perm: 0644", "perm: 0o644", "perm: \"0644\"", "m: 420", "x: 1__2", "x: 1 2", "x: 1 # 2", "x: 0.1e1", "x: 1,000", "x: 1.000,5", "x: 50%", "x: $HOME", "x: ~/a", "x: ~a", "x: a~", "x: =", "x: -", "x: - ", "x: --", "x: ---", "x: ...", "x:\n---", "x: |\n  ---\n  a", "x: 'a\n---\nb'", "x: \"a\n...\nb\"", "x: a\n---\n", "x: a\n--- \n", "x: a\n---b\n", "---\n- a\n", "--- - a", "--- a: b", "--- 'a'\n", "---  \n# c\n...\n# d\n", "a: 1\n...\nb: 2", "a: 1\n... # c\n", "a: 1\n...x", "....", "----", "..", "--", "a: 1\n%b", "a: 1\n---\n%b", "%a\n", "--- %a", "a: !!int 1_0", "a: !!float 1_0.5", "a: !!timestamp 2001-01-01", "a: !!timestamp foo", "a: !!timestamp '2001-01-01'", "a: '2001-01-01'", "-1: a", "- 1: a\n- -1", "a: \n\n\n  b", "a:   b   ", "a:   'b'   ", "   a:   b", "a: b\n\n\n\nc: d\n\n", "a:\n  - b:\n      - c:\n          d\n",
}

// documentCases are split into documents.
var documentCases = []string{
	"", "---\n", "a: 1", "a: 1\n---\nb: 2", "a: 1\n---\n---\nb: 2\n---\n", "---\na: 1\n---\nb: 2", "# c\n---\na: 1\n---\n# d\n", "a: 1\n--- # c\nb: 2", "a: 1\n---   \nb: 2", "a: 1\r\n---\r\nb: 2\r\n",
	"a: 1\n...\n---\nb: 2", "a: |\n  x\n  ---\n  y\n---\nb: 2", "a: 1\n---\nnull\n---\nb: 2", "\ufeffa: 1\n---\nb: 2", "a: 1\n---\n\ufeffb: 2", "{\"a\": 1}", "{\"a\": 1}{\"b\": 2}", "{\"a\": 1}\n{\"b\": 2}\n", "{\"a\": 1}\n---\n{\"b\": 2}\n", "{a: 1}\n---\nb: 2", "  {\"a\": 1.0}  ", "[1]\n---\n[2]", "a: 1\n---\nb: [", "a: &x 1\n---\nb: *x", "a: 1\n---", "\n\n---\n\na: 1\n", "{\"a\": \"\\ud83d\\ude00\"}", "---\n{\"a\": 1}", "a: 1\n----\nb: 2", "a: 'x\n---\ny'", "---\n---\n---", "a: 1\n---\n \n---\nb: 2", "{\"a\": 1, \"a\": 2}", "a: |\n  x", "a: |+\n  x\n  ", "a: >-\n  x", "a: |\r\n  x\r\n  y",
}

func readCases() []string {
	var all []string
	for _, scalar := range scalars {
		all = append(all, "v: "+scalar, scalar+": v", "["+scalar+"]", "- "+scalar, "{k: "+scalar+"}")
	}
	for _, tag := range tags {
		for _, scalar := range []string{"", "1", "yes", "1.5", "~", "foo", "'1'", "\"x\"", "2001-01-01", "aGk=", ".nan", "0x10", "<<"} {
			all = append(all, "v: "+tag+" "+scalar)
		}
	}
	all = append(all, texts...)
	for _, depth := range []int{20, 100} {
		all = append(all, strings.Repeat("[", depth)+strings.Repeat("]", depth), strings.Repeat("{a: ", depth)+strings.Repeat("}", depth))
	}
	return all
}

func printCases() []any {
	long := strings.Repeat("word ", 40)
	strings := append([]string{"", " ", "a ", " a", "\n", "\n\n", "a\n", "a\n\n", "a\nb", "a\nb\n", " a\nb", "\na", "a \nb", "a\n b", "a\n\nb", "a\n\n\n", "a\tb", "\ta\nb", "a\r\nb", "a\rb", "a\x00b", "a\x7fb", "a\u0085b", "a\u00a0b", "a\u2028b", "a\u2029", "\ufeffa b", "a\ufeffb", "é", "日本", "😀", "a😀\nb", "\ufffd", "a: b", "a #b", "a:", ":a", "- a", "? a", "'", "\"", "a'b", "a\"b", "it's: x", "a: \"b\" 'c'", "\\", "a\\b", "#", "*a", "&a", "!a", "%a", "@a", "`a", "{a", "[a", "a]", ",a", "a,b", "---", "--- a", "---a", "...", "....", "-", "--", "?", ":", "::", "a::b", "<<", "=", "|", ">", "a\n#b\n", "#a\nb", "- a\n- b\n", "a: b\n", long, long + long, long + "\n" + long, "a: " + long, "'" + long, "\t" + long, "x" + long, " " + long, "key: " + long + "😀", long + "  " + long, "a  b", "<a>&b", "\a\b\v\f\x1b", "a\nb ", "a\n \nb", "\n ", " \n", "\n a\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b c"}, scalars...)
	var all []any
	for _, text := range strings {
		all = append(all, text, map[string]any{"k": text}, []any{text}, map[string]any{"k": []any{text, map[string]any{"l": text}}}, map[string]any{text: "v"}, map[string]any{text: []any{"v"}, "b": map[string]any{text: nil}})
	}
	for _, number := range []any{0, 1, -1, 1.5, 1e21, 1e20, 1e19, 1e18, 1234567.5, 0.1, 1e-5, 0.0001, 1e-7, -1.5e300, int64(9223372036854775807), uint64(18446744073709551615), 123456.7, 100000.5, 1000000.5, 2.5e-10, 5e-324, 1.7976931348623157e308, 0.30000000000000004, -0.5} {
		all = append(all, number, map[string]any{"n": number})
	}
	key := func(length int) string { return "k" + long[:length-1] + "" }
	all = append(all, nil, true, false, map[string]any{}, []any{}, []any{[]any{}}, []any{map[string]any{}}, []any{nil}, []any{[]any{1, 2}, []any{[]any{3}}}, map[string]any{"a": []any{[]any{1, []any{2}}, map[string]any{"b": []any{}}}}, map[string]any{"a": map[string]any{"b": map[string]any{"c": nil}}},
		map[string]any{"a10": 1, "a2": 1, "a1": 1, "a": 1, "b": 1, "A": 1, "_": 1, "a-b": 1, "ab": 1, "a.b": 1, "a/b": 1, "a_b": 1, "a01": 1, "a001": 1, "a0": 1, "a00": 1, "a10b": 1, "1": 1, "10": 1, "2": 1, "02": 1, "é": 1, "日": 1, "😀": 1, "": 1, "a b": 1, "10.0": 1, "1.0": 1, "100": 1, "101": 1, "110": 1, "è": 1, "ê": 1},
		map[string]any{key(128): 1, key(129): 2, key(150): []any{1}, key(160): map[string]any{"x": "y"}, "a\nb": 1, "a\nb\n": []any{1}, "z\u2028z": map[string]any{"q": []any{}}},
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "annotations": map[string]any{"argocd.argoproj.io/tracking-id": "a:/ConfigMap:b/c"}}, "data": map[string]any{"f.yaml": "a: 1\nb:\n  - 2\n", "n": "010", "t": "true", "e": ""}})
	return all
}
