package api

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s with everything escaped that could do more on a terminal than be read: control
// characters, line ends and TABs among them, characters that change the direction of text, and
// bytes that are no UTF-8. Names, tags and texts of other directors may have been chosen by
// anybody. A backslash is left alone, so that names with one look as they are.
func Visible(s string) string {
	if !hidden(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !invisible(r):
			b.WriteString(s[:size])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// VisibleJSON does that in encoded JSON, where such characters stand in strings only.
func VisibleJSON(raw []byte) []byte {
	// What is below a blank has been escaped already.
	if !slices.ContainsFunc(raw, func(c byte) bool { return c >= 0x7f }) {
		return raw
	}
	var b []byte
	for _, r := range string(raw) {
		switch {
		case r == '\n' || !invisible(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

func hidden(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return !utf8.ValidString(s) || strings.ContainsFunc(s, invisible)
		}
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// invisible reports whether people cannot read a character: Cc, Cf (direction, zero width),
// line and paragraph separators.
func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
