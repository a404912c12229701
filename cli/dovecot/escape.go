package dovecot

import "strings"

// escaper writes the bytes that separate fields and lines, and the escape itself, as Dovecot does.
var escaper = strings.NewReplacer("\x00", "\x010", "\x01", "\x011", "\t", "\x01t", "\r", "\x01r", "\n", "\x01n")

// Escape returns text as it stands in a field of a line.
func Escape(text string) string { return escaper.Replace(text) }

// Unescape returns what a field of a line stands for. An escape before any other byte stands for that byte, a lone one at the
// end for nothing.
func Unescape(field string) string {
	i := strings.IndexByte(field, 1)
	if i < 0 {
		return field
	}
	plain := append(make([]byte, 0, len(field)), field[:i]...)
	for ; i < len(field); i++ {
		c := field[i]
		if c == 1 {
			if i++; i == len(field) {
				break
			}
			switch c = field[i]; c {
			case '0':
				c = 0
			case '1':
				c = 1
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			case 'n':
				c = '\n'
			}
		}
		plain = append(plain, c)
	}
	return string(plain)
}
