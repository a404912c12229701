// Package record owns the framing of records in the files of a data directory: length, checksum
// and kind. What a record says, and what follows from a bad one, is for the packages of the files.
package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"directormesh/mesh/wire"
)

// A record is
//
//	length   4 bytes, little endian: of the content
//	checksum 4 bytes: CRC-32C of file number, place, length, kind and content
//	kind     1 byte
//	content
const (
	// HeadSize is the bytes of a record before its content.
	HeadSize = 4 + 4 + 1
	// maxContent bounds the content of a record: any message of a log fits.
	maxContent = wire.MaxMessage + 1<<10
)

// Kind says what a record holds. Each sort of file has its own.
type Kind byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of a record at a place of a file. Numbers of files only grow.
func checksum(file uint64, at int64, length uint32, kind Kind, content []byte) uint32 {
	var b [8 + 8 + 4 + 1]byte
	binary.LittleEndian.PutUint64(b[0:], file)
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
	binary.LittleEndian.PutUint32(b[16:], length)
	b[20] = byte(kind)
	return crc32.Update(crc32.Update(0, castagnoli, b[:]), castagnoli, content)
}

// Append appends a record that is to stand at a place of a file. It lets fill append the
// content; on its error it returns buf as it was.
func Append(
	buf []byte, file uint64, at int64, kind Kind, fill func([]byte) ([]byte, error),
) ([]byte, error) {
	start := len(buf)
	out, err := fill(append(buf, make([]byte, HeadSize)...))
	if err != nil {
		return buf, err
	}
	content := out[start+HeadSize:]
	if len(content) > maxContent {
		return buf, fmt.Errorf("record of %d bytes, at most %d are allowed", len(content),
			maxContent)
	}
	length := uint32(len(content))
	binary.LittleEndian.PutUint32(out[start:], length)
	binary.LittleEndian.PutUint32(out[start+4:], checksum(file, at, length, kind, content))
	out[start+8] = byte(kind)
	return out, nil
}

// ErrBad is returned for a record that is cut short, or whose checksum is wrong.
var ErrBad = errors.New("bad record")

// Reader reads the records of a file.
type Reader struct {
	in   *bufio.Reader
	file uint64
	at   int64
	room []byte
}

// NewReader returns a reader of the records of a file, from a place in it on, where in is.
func NewReader(in io.Reader, file uint64, at int64) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 1<<18), file: file, at: at}
}

// At is where the next record begins: behind the last good one.
func (r *Reader) At() int64 { return r.at }

// Next returns the next record. The content is valid until the next call. The error is io.EOF at
// the end of a whole record, ErrBad, or that of the disk.
func (r *Reader) Next() (kind Kind, content []byte, err error) {
	var head [HeadSize]byte
	if n, err := io.ReadFull(r.in, head[:]); err != nil {
		return 0, nil, endOf(err, n == 0)
	}
	length := binary.LittleEndian.Uint32(head[0:])
	if length > maxContent {
		return 0, nil, ErrBad
	}
	if cap(r.room) < int(length) {
		r.room = make([]byte, length)
	}
	content = r.room[:length]
	if _, err := io.ReadFull(r.in, content); err != nil {
		return 0, nil, endOf(err, false)
	}
	kind = Kind(head[8])
	if binary.LittleEndian.Uint32(head[4:]) != checksum(r.file, r.at, length, kind, content) {
		return 0, nil, ErrBad
	}
	r.at += HeadSize + int64(length)
	return kind, content, nil
}

// endOf says what the end of a file within a record is: bad, unless the record has not begun.
func endOf(err error, whole bool) error {
	switch {
	case err == io.EOF && whole:
		return io.EOF
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return ErrBad
	}
	return err
}
