package store

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
	recordHead = 4 + 4 + 1
	// maxContent bounds the content of a record: any message of a log fits.
	maxContent = wire.MaxMessage + 1<<10
)

type recordKind byte

const (
	headRecord    recordKind = 1 // the first of each file, see head
	messageRecord recordKind = 2 // an encoded wire.Message
	markRecord    recordKind = 3 // behind a sync, see markContent
	endRecord     recordKind = 4 // the last of a snapshot
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of a record at a place of a file. Numbers of files only grow.
func checksum(file uint64, at int64, length uint32, kind recordKind, content []byte) uint32 {
	var b [8 + 8 + 4 + 1]byte
	binary.LittleEndian.PutUint64(b[0:], file)
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
	binary.LittleEndian.PutUint32(b[16:], length)
	b[20] = byte(kind)
	return crc32.Update(crc32.Update(0, castagnoli, b[:]), castagnoli, content)
}

// appendRecord appends a record that is to stand at a place of a file. It lets fill append the
// content; on its error it returns buf as it was.
func appendRecord(
	buf []byte, file uint64, at int64, kind recordKind, fill func([]byte) ([]byte, error),
) ([]byte, error) {
	start := len(buf)
	out, err := fill(append(buf, make([]byte, recordHead)...))
	if err != nil {
		return buf, err
	}
	content := out[start+recordHead:]
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

// errBad is a record that is cut short, or whose checksum is wrong.
var errBad = errors.New("bad record")

// recordReader reads the records of a file.
type recordReader struct {
	in   *bufio.Reader
	file uint64
	at   int64 // where the next record begins
	room []byte
}

func newRecordReader(in io.Reader, file uint64) *recordReader {
	return &recordReader{in: bufio.NewReaderSize(in, 1<<18), file: file}
}

// next returns the next record. The content is valid until the next call. The error is io.EOF at
// the end of a whole record, errBad, or that of the disk.
func (r *recordReader) next() (kind recordKind, content []byte, err error) {
	var head [recordHead]byte
	if n, err := io.ReadFull(r.in, head[:]); err != nil {
		return 0, nil, endOf(err, n == 0)
	}
	length := binary.LittleEndian.Uint32(head[0:])
	if length > maxContent {
		return 0, nil, errBad
	}
	if cap(r.room) < int(length) {
		r.room = make([]byte, length)
	}
	content = r.room[:length]
	if _, err := io.ReadFull(r.in, content); err != nil {
		return 0, nil, endOf(err, false)
	}
	kind = recordKind(head[8])
	if binary.LittleEndian.Uint32(head[4:]) != checksum(r.file, r.at, length, kind, content) {
		return 0, nil, errBad
	}
	r.at += recordHead + int64(length)
	return kind, content, nil
}

// endOf says what the end of a file within a record is: bad, unless the record has not begun.
func endOf(err error, whole bool) error {
	switch {
	case err == io.EOF && whole:
		return io.EOF
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return errBad
	}
	return err
}
