// Package tabbed reads and writes lines as Dovecot's services exchange them: fields separated by
// TABs, in which the bytes that would end a field or a line are escaped by byte 1 and a letter or
// digit. It knows nothing of what the fields mean.
package tabbed

import (
	"bytes"
	"strings"
)

// escape begins an escape sequence.
const escape = 1

// letter returns what follows the escape for a byte that is escaped, 0 for one that is not.
func letter(c byte) byte {
	switch c {
	case 0:
		return '0'
	case escape:
		return '1'
	case '\t':
		return 't'
	case '\r':
		return 'r'
	case '\n':
		return 'n'
	}
	return 0
}

// AppendEscaped appends text as it stands in a field.
func AppendEscaped(line []byte, text string) []byte {
	for i := range len(text) {
		if l := letter(text[i]); l != 0 {
			line = append(line, escape, l)
		} else {
			line = append(line, text[i])
		}
	}
	return line
}

// Escape returns text as it stands in a field.
func Escape(text string) string { return string(AppendEscaped(nil, text)) }

// Unescape returns what a field stands for. An escape before any other byte stands for that byte, a
// lone one at the end for nothing.
func Unescape(field string) string {
	if strings.IndexByte(field, escape) < 0 {
		return field
	}
	return string(UnescapeBytes([]byte(field)))
}

// UnescapeBytes is Unescape for bytes. It returns the field itself if nothing in it is escaped,
// else a new slice.
func UnescapeBytes(field []byte) []byte {
	i := bytes.IndexByte(field, escape)
	if i < 0 {
		return field
	}
	plain := append(make([]byte, 0, len(field)), field[:i]...)
	for ; i < len(field); i++ {
		c := field[i]
		if c == escape {
			if i++; i == len(field) {
				break
			}
			c = unletter(field[i])
		}
		plain = append(plain, c)
	}
	return plain
}

// unletter returns what a byte after an escape stands for.
func unletter(c byte) byte {
	switch c {
	case '0':
		return 0
	case '1':
		return escape
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'n':
		return '\n'
	}
	return c
}

// Fields returns the fields of a line, unescaped; an empty line has one empty field.
func Fields(line string) []string {
	fields := strings.Split(line, "\t")
	for i, field := range fields {
		fields[i] = Unescape(field)
	}
	return fields
}

// AppendFields is Fields for bytes, appended to fields: a reader of many lines uses their memory
// again. The fields are parts of the line, as far as they need not be unescaped.
func AppendFields(fields [][]byte, line []byte) [][]byte {
	escaped := bytes.IndexByte(line, escape) >= 0
	for {
		end := bytes.IndexByte(line, '\t')
		field := line
		if end >= 0 {
			field = line[:end]
		}
		if escaped {
			field = UnescapeBytes(field)
		}
		fields = append(fields, field)
		if end < 0 {
			return fields
		}
		line = line[end+1:]
	}
}

// Line returns the line of these fields, without its end.
func Line(fields ...string) string {
	var line []byte
	for i, f := range fields {
		if i > 0 {
			line = append(line, '\t')
		}
		line = AppendEscaped(line, f)
	}
	return string(line)
}
