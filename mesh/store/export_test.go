package store

import "directormesh/mesh/record"

// AppendRecord appends a record of any kind and content, whose checksum is right.
func AppendRecord(b []byte, file uint64, kind byte, content []byte) []byte {
	b, err := record.Append(b, file, int64(len(b)), record.Kind(kind),
		func(b []byte) ([]byte, error) { return append(b, content...), nil })
	if err != nil {
		panic(err)
	}
	return b
}
