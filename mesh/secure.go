package mesh

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/flynn/noise"

	"directormesh/mesh/wire"
)

// KeySize is the size of a key of the mesh, in bytes.
const KeySize = wire.KeySize

const (
	// A record is one Noise transport message: its length in 2 bytes, big endian, then ciphertext
	// with its tag.
	recordHeader = 2
	recordTag    = 16
	maxRecord    = noise.MaxMsgLen
	maxPlaintext = maxRecord - recordTag
	// keepBuffer is how much buffer an idle stream holds on to.
	keepBuffer = 16 << 10
)

// streamSecret derives the pre-shared key of streams, so that the mesh's key itself is used by
// memberlist alone and the same key in two meshes does not let one stream into the other.
func streamSecret(key []byte, mesh string) ([]byte, error) {
	secret, err := hkdf.Key(sha256.New, key, nil, "director mesh stream\x00"+mesh, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of streams: %w", err)
	}
	return secret, nil
}

// A secureWriter encrypts what is written to it into records. Each record's nonce is its number, so
// a record that is changed, left out, repeated or out of order fails at the reader, which then
// gives the stream up. Not safe for concurrent use.
type secureWriter struct {
	w      io.Writer
	cipher *noise.CipherState
	buf    []byte
}

func (s *secureWriter) Write(p []byte) (int, error) {
	sealed, err := s.seal(p)
	if err != nil {
		return 0, err
	}
	if _, err := s.w.Write(sealed); err != nil {
		return 0, err
	}
	return len(p), nil
}

// seal returns p as records, in a buffer that is good until the next call. They must be written in
// the order in which they were sealed.
func (s *secureWriter) seal(p []byte) ([]byte, error) {
	sealed := s.buf[:0]
	for len(p) > 0 {
		part := p[:min(len(p), maxPlaintext)]
		p = p[len(part):]
		at := len(sealed)
		var err error
		if sealed, err = s.cipher.Encrypt(append(sealed, 0, 0), nil, part); err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
		binary.BigEndian.PutUint16(sealed[at:], uint16(len(sealed)-at-recordHeader))
	}
	if s.buf = sealed; cap(sealed) > keepBuffer {
		s.buf = nil
	}
	return sealed, nil
}

// A secureReader decrypts records. After an error it only repeats it. Not safe for concurrent use.
type secureReader struct {
	r      io.Reader
	cipher *noise.CipherState
	plain  []byte // of the last record, not read yet
	record []byte
	err    error
}

func (s *secureReader) Read(p []byte) (int, error) {
	for len(s.plain) == 0 {
		if s.err == nil {
			s.err = s.next()
		}
		if s.err != nil {
			return 0, s.err
		}
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// next reads one record and decrypts it in place.
func (s *secureReader) next() error {
	var header [recordHeader]byte
	if _, err := io.ReadFull(s.r, header[:]); err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint16(header[:]))
	if size <= recordTag {
		return fmt.Errorf("record of %d bytes is too short", size)
	}
	if cap(s.record) > keepBuffer && size <= keepBuffer {
		s.record = nil
	}
	if cap(s.record) < size {
		s.record = make([]byte, size)
	}
	s.record = s.record[:size]
	if _, err := io.ReadFull(s.r, s.record); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	plain, err := s.cipher.Decrypt(s.record[:0], nil, s.record)
	if err != nil {
		return fmt.Errorf("record %d does not decrypt: %w", s.cipher.Nonce(), err)
	}
	s.plain = plain
	return nil
}
