package ring

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the longest name of anything, in bytes: of directors, meshes, tags and hosts.
const MaxName = 255

var (
	errLongName  = fmt.Errorf("is longer than %d bytes", MaxName)
	errNoWord    = errors.New("has a space or a character that cannot be shown")
	errEmptyName = errors.New("is empty")
)

// CheckWord returns what is wrong with a name: of a director, a mesh, a tag. A name is one word: it
// stands in columns of tables, fields of lines and on terminals, so it has no white space and
// nothing that cannot be seen. Every name that comes from outside is checked where it comes in; ""
// is refused, where it is allowed it need not be checked.
func CheckWord(name string) error {
	switch {
	case name == "":
		return errEmptyName
	case len(name) > MaxName:
		return errLongName
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' {
			return checkRunes(name)
		}
	}
	return nil
}

func checkRunes(name string) error {
	if !utf8.ValidString(name) {
		return errNoWord
	}
	for _, r := range name {
		if r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return errNoWord
		}
	}
	return nil
}

// Printable returns a text as one line, with "?" in place of what cannot be shown.
func Printable(text string) string {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return strings.Map(func(r rune) rune {
				switch {
				case r == '\n' || r == '\t':
					return ' '
				case r == utf8.RuneError || !unicode.IsPrint(r):
					return '?'
				}
				return r
			}, text)
		}
	}
	return text
}

// CheckHostName returns what is wrong with the name of a host.
func CheckHostName(name string) error {
	if len(name) > MaxName {
		return errLongName
	}
	return checkHostName(name)
}
