package ring

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustFormat(t testing.TB, s string) HashFormat {
	t.Helper()
	f, err := ParseHashFormat(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestUserHashText(t *testing.T) {
	for h, want := range map[UserHash]string{0: "0", 1: "1", 0xdeadbeef: "3735928559"} {
		if got := h.String(); got != want {
			t.Errorf("UserHash(%d) prints as %q, want %q", uint32(h), got, want)
		}
	}
}

func TestHashIsNeverZero(t *testing.T) {
	// The MD5 of this name begins with four zero bytes.
	if got := mustFormat(t, "%u").Hash("zerodpcajisv"); got != 1 {
		t.Errorf("hash %d, want 1", got)
	}
}

func TestZeroHashFormatIsTheDefault(t *testing.T) {
	var zero HashFormat
	if got := zero.String(); got != "%Lu" {
		t.Errorf("the zero format prints as %q, want %%Lu", got)
	}
	parsed := mustFormat(t, "%Lu")
	for _, user := range []string{"", "alice@example.org", "ALICE@Example.Org"} {
		if got, want := zero.Hash(user), parsed.Hash(user); got != want {
			t.Errorf("user %q: hash %s with the zero format, %s with %%Lu", user, got, want)
		}
	}
}

func TestHashDoesNotAllocate(t *testing.T) {
	names := []string{
		"", "alice@example.org", strings.Repeat("A", 200) + "@" + strings.Repeat("b", 55),
	}
	for _, format := range []string{"%Lu", "%u", "%n", "%Ln", "%d", "%Ld"} {
		f := mustFormat(t, format)
		for _, name := range names {
			var sum UserHash
			if n := testing.AllocsPerRun(100, func() { sum += f.Hash(name) }); n != 0 {
				t.Errorf("format %s, name of %d bytes: %v allocations", format, len(name), n)
			}
		}
	}
}

func TestHashOfLongNames(t *testing.T) {
	// Beyond the room on the stack nothing is cut off.
	f := mustFormat(t, "%Lu")
	long := strings.Repeat("x", 5000)
	if f.Hash(long+"a") == f.Hash(long+"b") {
		t.Error("names that differ in the last byte have one hash")
	}
}

func TestParseHashFormatErrors(t *testing.T) {
	for _, c := range []struct{ format, problem string }{
		{"", "no variable"},
		{"fixed", "no variable"},
		{"%%", "no variable"},
		{"%", "lone %"},
		{"%u%", "lone %"},
		{"%L", `"%L" has no variable`},
		{"%3.2", `"%3.2" has no variable`},
		{"%x", `unknown variable "%x"`},
		{"%s", `unknown variable "%s"`},
		{"%ü", "unknown variable"},
		{"%l%", `unknown variable "%l"`},
		{"%L%", `unknown variable "%%"`},
		{"%{u}", `unknown variable "%{u}"`},
		{"%{USER}", `unknown variable "%{USER}"`},
		{"%{hostname}", `unknown variable "%{hostname}"`},
		{"%{sha1:user}", `unknown variable "%{sha1:user}"`},
		{"%{if;%u;eq;a;b;c}", "unknown variable"},
		{"%{user", "no closing brace"},
		{"%L3u", `unknown variable "%3"`},
		{"%Hu", "modifier H is not supported"},
		{"%LNu", "modifier N is not supported"},
		{"%Xu", "modifier X is not supported"},
		{"%LLLLLLLLLLLu", "more than 10 modifiers"},
		{"%0.-2u", "negative width"},
		{"%-2u", "negative width"},
		{"%-u", "negative width"},
		{"%-.3u", "no number after the minus sign"},
		{"%1001u", "1001 is too large"},
		{"%99999999999999999999.1u", "too large"},
	} {
		_, err := ParseHashFormat(c.format)
		if err == nil {
			t.Errorf("%q was accepted", c.format)
			continue
		}
		prefix := "username hash " + strconv.Quote(c.format) + ": "
		if !strings.HasPrefix(err.Error(), prefix) ||
			!strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q: error %q, want it to begin with %q and to contain %q",
				c.format, err, prefix, c.problem)
		}
	}
}

// naivePart is one piece of a format: the grammar once more, as a regular expression.
var naivePart = regexp.MustCompile(`(?s)^(?:([^%]+)|(%%)|` +
	`%(?:(-\d+|\d*)\.)?(\d*)([LURTM]{0,10})(?:[und]|\{(?:user|username|domain)\}))`)

// naiveHash is a plain second version of ParseHashFormat and Hash; false means that the format is
// not acceptable.
func naiveHash(format, user string) (UserHash, bool) {
	var text []byte
	variables := 0
	for format != "" {
		m := naivePart.FindStringSubmatch(format)
		if m == nil {
			return 0, false
		}
		format = format[len(m[0]):]
		switch {
		case m[1] != "":
			text = append(text, m[1]...)
			continue
		case m[2] != "":
			text = append(text, '%')
			continue
		}
		variables++
		value := []byte(user)
		local, domain, _ := strings.Cut(user, "@")
		switch m[0][len(m[0])-1:] {
		case "n":
			value = []byte(local)
		case "d":
			value = []byte(domain)
		case "}":
			if strings.HasSuffix(m[0], "{username}") {
				value = []byte(local)
			} else if strings.HasSuffix(m[0], "{domain}") {
				value = []byte(domain)
			}
		}
		for _, modifier := range m[5] {
			switch modifier {
			case 'L', 'U':
				for i, c := range value {
					if c < 0x80 && modifier == 'L' {
						value[i] = strings.ToLower(string(c))[0]
					} else if c < 0x80 {
						value[i] = strings.ToUpper(string(c))[0]
					}
				}
			case 'R':
				var reversed []byte
				for i := range value {
					reversed = append(reversed, value[len(value)-1-i])
				}
				value = reversed
			case 'T':
				value = bytes.TrimRight(value, "\t\n\v\f\r ")
			case 'M':
				sum := md5.Sum(value)
				value = []byte(hex.EncodeToString(sum[:]))
			}
		}
		offset, _ := strconv.Atoi(m[3])
		width, _ := strconv.Atoi(m[4])
		if offset > 1000 || offset < -1000 || width > 1000 {
			return 0, false
		}
		for ; offset > 0 && len(value) > 0; offset-- {
			value = value[1:]
		}
		if offset < 0 && len(value) > -offset {
			value = value[len(value)+offset:]
		}
		for strings.HasPrefix(m[4], "0") && len(value) < width {
			value = append([]byte("0"), value...)
		}
		if width > 0 && !strings.HasPrefix(m[4], "0") && len(value) > width {
			value = value[:width]
		}
		text = append(text, value...)
	}
	sum := md5.Sum(text)
	h := binary.BigEndian.Uint32(sum[:4])
	if h == 0 {
		h = 1
	}
	return UserHash(h), variables > 0
}

func TestHashEqualsNaive(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		"%", "%%", "%u", "%n", "%d", "%{user}", "%{username}", "%{domain}", "u", "{", "L", "U", "R",
		"T", "M", "%L", "%M", "%RT", "%3", "%-2.", "%04", "%1.2", "%2.03", "0", "x", "@", "-", ".",
	})
	users := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-cA-C@ \t]{0,12}`),
		rapid.SampledFrom([]string{"Alice@Example.ORG "}))
	rapid.Check(t, func(t *rapid.T) {
		format := strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(t, "pieces"), "")
		checkAgainstNaive(t, format, users.Draw(t, "user"))
	})
}

func checkAgainstNaive(t interface{ Errorf(string, ...any) }, format, user string) {
	want, acceptable := naiveHash(format, user)
	f, err := ParseHashFormat(format)
	if (err == nil) != acceptable {
		t.Errorf("format %q: error %v, acceptable: %v", format, err, acceptable)
		return
	}
	if err != nil {
		return
	}
	if f.String() != format {
		t.Errorf("format %q prints as %q", format, f)
	}
	if got := f.Hash(user); got != want {
		t.Errorf("format %q, user %q: hash %s, want %s", format, user, got, want)
	}
}

func FuzzParseHashFormat(f *testing.F) {
	for _, format := range []string{
		"%Lu", "%u", "%Ln@%Ld", "x%Lu%%", "%L{username}", "%3.2u", "%-3.05RTMd", "%", "%{user",
		"%0.-2u", "%LLLLLLLLLLLu", "%99999999999.1u", "%Hu", "\xff%\xffu",
	} {
		f.Add(format, "User@Example.COM ")
	}
	f.Fuzz(func(t *testing.T, format, user string) {
		checkAgainstNaive(t, format, user)
	})
}
