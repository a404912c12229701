package ring

import (
	"errors"
	"fmt"
	"strings"
)

// defaultHashFormat is what the zero HashFormat stands for: the whole name in lower case.
const defaultHashFormat = "%Lu"

const (
	// maxModifiers is how many modifiers Dovecot applies to one variable.
	maxModifiers = 10
	// maxSubstring bounds offsets and widths, far above the length of any user name.
	maxSubstring = 1000
)

// HashFormat is a parsed director_username_hash: which bytes of a user name are hashed. All
// directors of a mesh, and Dovecot's login processes beside them, must use the same. The zero value
// is Dovecot's default, %Lu.
type HashFormat struct {
	text  string // "" in the zero value
	parts []part // nil if they are those of the default
}

// String returns the format as it was given.
func (f HashFormat) String() string {
	if f.text == "" {
		return defaultHashFormat
	}
	return f.text
}

// ParseHashFormat reads a director_username_hash:
//
//	format   = { text | "%%" | variable }
//	variable = "%" [ substring ] { modifier } name
//	name     = "u" | "{user}"        the whole name
//	         | "n" | "{username}"    before the first @, the whole name without one
//	         | "d" | "{domain}"      after the first @, empty without one
//	modifier = "L" | "U" | "R" | "T" | "M"
//	substring = [ [ "-" ] offset "." ] [ "0" ] [ width ]
//
// Modifiers apply from left to right: lower and upper case (ASCII only), reversed, white space
// trimmed at the end, MD5 in hex. The substring is taken of the result, in bytes: %2u is the first
// two, %3.2u the two after the first three, %-3.2u the first two of the last three, and %05u pads
// with zeros to five. Everything expands as Dovecot 2.3.19 expands it.
//
// Refused are Dovecot's other variables and modifiers, widths that count from the end, a lone % at
// the end (which Dovecot silently drops), and formats without a variable: they would put all users
// on one backend.
func ParseHashFormat(s string) (HashFormat, error) {
	f := HashFormat{text: s}
	variables := 0
	for rest := s; rest != ""; {
		literal, after, found := strings.Cut(rest, "%")
		if literal != "" {
			f.parts = append(f.parts, part{literal: literal})
		}
		if !found {
			break
		}
		if strings.HasPrefix(after, "%") {
			f.parts = append(f.parts, part{literal: "%"})
			rest = after[1:]
			continue
		}
		p, n, err := parseVariable(after)
		if err != nil {
			return HashFormat{}, fmt.Errorf("username hash %q: %w", s, err)
		}
		f.parts = append(f.parts, p)
		variables++
		rest = after[n:]
	}
	if variables == 0 {
		return HashFormat{}, fmt.Errorf("username hash %q: has no variable, "+
			"so all users would share one backend; the usual format is %s",
			s, defaultHashFormat)
	}
	if len(f.parts) == 1 && f.parts[0] == defaultPart() {
		f.parts = nil
	}
	return f, nil
}

// parseVariable reads what follows a "%" and says how many bytes of s that was.
func parseVariable(s string) (p part, n int, err error) {
	n, err = p.parseSubstring(s)
	if err != nil {
		return part{}, 0, err
	}
	start := n
	for n < len(s) && strings.IndexByte(supportedModifiers, s[n]) >= 0 {
		n++
	}
	p.modifiers = s[start:n]
	if len(p.modifiers) > maxModifiers {
		return part{}, 0, fmt.Errorf("%%%s has more than %d modifiers", s[:n], maxModifiers)
	}
	if n == len(s) {
		if n == 0 {
			return part{}, 0, errors.New("ends in a lone %; write %% for a percent sign")
		}
		return part{}, 0, fmt.Errorf("%q has no variable after it", "%"+s)
	}
	length := 0
	if p.source, length, err = parseName(s[n:]); err != nil {
		return part{}, 0, err
	}
	return p, n + length, nil
}

// parseSubstring reads an optional offset and width at the start of s and says how many bytes they
// took.
func (p *part) parseSubstring(s string) (n int, err error) {
	negative := strings.HasPrefix(s, "-")
	if negative {
		n++
	}
	digits := leadingDigits(s[n:])
	n += len(digits)
	if strings.HasPrefix(s[n:], ".") {
		if p.offset, err = parseCount(digits); err != nil {
			return 0, err
		}
		if negative {
			if digits == "" {
				return 0, fmt.Errorf("%q has no number after the minus sign", "%"+s)
			}
			p.offset = -p.offset
		}
		n++
		negative = strings.HasPrefix(s[n:], "-")
		digits = leadingDigits(s[n:])
		n += len(digits)
	}
	if negative {
		return 0, fmt.Errorf(
			"%q has a negative width, which is not supported; "+
				"a negative offset is written %%-3.2u",
			"%"+s)
	}
	if p.width, err = parseCount(digits); err != nil {
		return 0, err
	}
	p.pad = strings.HasPrefix(digits, "0")
	return n, nil
}

// parseName reads a variable's short name or its long one in braces, and says how many bytes that
// was.
func parseName(s string) (source, int, error) {
	const known = "the variables are %u, %n, %d, %{user}, %{username} and %{domain}"
	name, length := s[:1], 1
	if name == "{" {
		long, _, closed := strings.Cut(s[1:], "}")
		if !closed {
			return 0, 0, fmt.Errorf("%q has no closing brace", "%"+s)
		}
		name, length = "{"+long+"}", len(long)+2
	}
	switch name {
	case "u", "{user}":
		return wholeName, length, nil
	case "n", "{username}":
		return localPart, length, nil
	case "d", "{domain}":
		return domainPart, length, nil
	}
	if strings.Contains("EXHND", name) {
		return 0, 0, fmt.Errorf(
			"the modifier %s is not supported; the supported ones are L, U, R, T and M", name)
	}
	return 0, 0, fmt.Errorf("unknown variable %q; %s", "%"+name, known)
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// parseCount reads a number of digits only; "" is 0.
func parseCount(digits string) (int, error) {
	count := 0
	for _, d := range []byte(digits) {
		if count = count*10 + int(d-'0'); count > maxSubstring {
			return 0, fmt.Errorf("the number %s is too large; at most %d makes sense",
				digits, maxSubstring)
		}
	}
	return count, nil
}
