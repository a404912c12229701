package doveadm

import "strings"

// escape begins the escape sequences of this protocol, which keep line ends and TABs out of fields.
const escape = '\x01'

// appendEscaped appends a text as a field.
func appendEscaped(b []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; c {
		case 0:
			b = append(b, escape, '0')
		case escape:
			b = append(b, escape, '1')
		case '\t':
			b = append(b, escape, 't')
		case '\r':
			b = append(b, escape, 'r')
		case '\n':
			b = append(b, escape, 'n')
		default:
			b = append(b, c)
		}
	}
	return b
}

// unescape returns the text of a field. What follows an escape in vain stands for itself; one at the end is dropped.
func unescape(field string) string {
	if !strings.ContainsRune(field, escape) {
		return field
	}
	text := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c != escape {
			text = append(text, c)
			continue
		}
		if i++; i == len(field) {
			break
		}
		switch c = field[i]; c {
		case '0':
			c = 0
		case '1':
			c = escape
		case 't':
			c = '\t'
		case 'r':
			c = '\r'
		case 'n':
			c = '\n'
		}
		text = append(text, c)
	}
	return string(text)
}

// splitFields returns the unescaped fields of a line.
func splitFields(line string) []string {
	fields := strings.Split(line, "\t")
	for i, f := range fields {
		fields[i] = unescape(f)
	}
	return fields
}
