package ring

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// UserHash stands for a user wherever a name need not be known. Names with equal hashes are one
// user. Hash never returns 0, but 0 can be looked up like any other value.
type UserHash uint32

// String returns the hash as a decimal number: the one form in which operators see and type it,
// Dovecot's director's too.
func (h UserHash) String() string { return strconv.FormatUint(uint64(h), 10) }

// Hash returns the user's hash: the name is expanded to the bytes that the format asks for, and
// their MD5 is cut to 32 bits. Names are bytes; only the 26 ASCII letters have a case. Names of up
// to 256 bytes cost no allocation in the usual formats, which do not make them longer.
func (f HashFormat) Hash(user string) UserHash {
	if f.parts == nil {
		return hashLower(user)
	}
	var room [256]byte
	text := room[:0]
	for i := range f.parts {
		text = f.parts[i].append(text, user)
	}
	return hashText(text)
}

// hashLower is Hash in the default format, which every login goes through.
func hashLower(user string) UserHash {
	var room [64]byte // longer ones are rare; what is not cleared costs nothing
	if len(user) > len(room) {
		var room [256]byte
		whole := defaultPart()
		return hashText(whole.append(room[:0], user))
	}
	text := append(room[:0], user...)
	for i, c := range text {
		if c-'A' < 26 {
			text[i] = c | 0x20
		}
	}
	return hashText(text)
}

func hashText(text []byte) UserHash {
	// Zero means "no user" in Dovecot, so the one name in four billion that would get it shares the
	// hash 1.
	return UserHash(max(1, first32(text)))
}

// first32 returns the first four bytes of the MD5 of text: how both users and points get their
// place on the ring.
func first32(text []byte) uint32 {
	sum := md5.Sum(text)
	return binary.BigEndian.Uint32(sum[:])
}

// A source says which piece of the user name a variable stands for.
type source uint8

const (
	literalText source = iota // none: the part is fixed text
	wholeName                 // %u
	localPart                 // %n: up to the first @, or everything
	domainPart                // %d: after the first @, or nothing
)

func (s source) of(user string) string {
	if s == wholeName {
		return user
	}
	local, domain, _ := strings.Cut(user, "@")
	if s == localPart {
		return local
	}
	return domain
}

// A part is a piece of a format: fixed text, or a variable with what is done to it.
type part struct {
	source  source
	literal string

	modifiers string // letters of supportedModifiers, applied from left to right
	// Of the modified value, offset bytes are skipped (a negative offset counts from the end, but
	// not beyond the start) and then width bytes are taken. Width 0 takes the rest. With pad, width
	// is a minimum instead: shorter values are filled with leading "0", longer ones kept.
	offset int
	width  int
	pad    bool
}

// defaultPart is all that defaultHashFormat consists of.
func defaultPart() part { return part{source: wholeName, modifiers: "L"} }

// append adds the part, expanded for user, to b.
func (p *part) append(b []byte, user string) []byte {
	if p.source == literalText {
		return append(b, p.literal...)
	}
	start := len(b)
	b = append(b, p.source.of(user)...)
	for i := range len(p.modifiers) {
		b = modify(b, start, p.modifiers[i])
	}
	if p.offset == 0 && p.width == 0 {
		return b
	}

	skip := p.offset
	if skip < 0 {
		skip += len(b) - start
	}
	skip = min(max(skip, 0), len(b)-start)
	b = append(b[:start], b[start+skip:]...)

	length := len(b) - start
	switch {
	case p.width == 0:
	case !p.pad:
		b = b[:start+min(length, p.width)]
	case length < p.width:
		missing := p.width - length
		for range missing {
			b = append(b, '0')
		}
		copy(b[start+missing:], b[start:])
		for i := range missing {
			b[start+i] = '0'
		}
	}
	return b
}

// supportedModifiers are the letters that modify knows.
const supportedModifiers = "LURTM"

// modify replaces the value b[start:] by what one modifier makes of it.
func modify(b []byte, start int, modifier byte) []byte {
	value := b[start:]
	switch modifier {
	case 'L': // lower case
		for i, c := range value {
			if 'A' <= c && c <= 'Z' {
				value[i] = c - 'A' + 'a'
			}
		}
	case 'U': // upper case
		for i, c := range value {
			if 'a' <= c && c <= 'z' {
				value[i] = c - 'a' + 'A'
			}
		}
	case 'R': // bytes in reverse order
		for i, j := 0, len(value)-1; i < j; i, j = i+1, j-1 {
			value[i], value[j] = value[j], value[i]
		}
	case 'T': // without white space at the end
		for len(b) > start && strings.IndexByte(" \t\n\v\f\r", b[len(b)-1]) >= 0 {
			b = b[:len(b)-1]
		}
	case 'M': // MD5 in lower-case hex
		sum := md5.Sum(value)
		b = hex.AppendEncode(b[:start], sum[:])
	default:
		panic("ring: a hash format was parsed with the unsupported modifier " + string(modifier))
	}
	return b
}
