package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"directormesh/ring"
)

// maxLine bounds one line of a stream.
const maxLine = 64 << 10

// MappingFilter selects mappings. The zero filter selects all.
type MappingFilter struct {
	Backends []netip.Addr // any of these
	Hash     *uint32
}

// Mappings calls each for every mapping that the filter selects, ordered by tag and hash, until
// each returns an error, which Mappings then returns. The mappings are streamed: there may be
// millions.
func (c *Client) Mappings(
	ctx context.Context, filter MappingFilter, each func(Mapping) error,
) error {
	query := url.Values{}
	if len(filter.Backends) > 0 {
		texts := make([]string, len(filter.Backends))
		for i, b := range filter.Backends {
			texts[i] = ring.AddrText(b)
		}
		query.Set("backend", strings.Join(texts, ","))
	}
	if filter.Hash != nil {
		query.Set("hash", strconv.FormatUint(uint64(*filter.Hash), 10))
	}
	r, err := c.send(ctx, http.MethodGet, "/v1/mappings", query, nil)
	return lines(ctx, r, err, decode, each)
}

// WatchTarget selects flushes to watch: one flush, those of one backend, or with the zero value all
// that run.
type WatchTarget struct {
	Flush   *FlushID
	Backend netip.Addr
}

// Watch calls each whenever one of the flushes has changed, first with how they stand, and returns
// nil when all of them have ended.
func (c *Client) Watch(ctx context.Context, target WatchTarget, each func(Flush) error) error {
	query := url.Values{}
	if target.Flush != nil {
		query.Set("director", target.Flush.Director)
		query.Set("id", strconv.FormatUint(target.Flush.ID, 10))
	}
	if target.Backend.IsValid() {
		query.Set("backend", ring.AddrText(target.Backend))
	}
	r, err := c.send(ctx, http.MethodGet, "/v1/flushes/watch", query, nil)
	return lines(ctx, r, err, decode, each)
}

// LookupAll looks up all users that requests yields and calls answer for each, in the same order.
// Requests and answers are streamed, many at a time. An error that requests yields, or that answer
// returns, ends it.
func (c *Client) LookupAll(
	ctx context.Context, requests iter.Seq2[LookupRequest, error], answer func(LookupAnswer) error,
) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	body, w := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		err := writeRequests(w, requests)
		if err != nil && !errors.Is(err, io.ErrClosedPipe) { // else sending tells why it gave up
			stop(err)
		}
		w.CloseWithError(err)
	}()
	r, err := c.send(ctx, http.MethodPost, "/v1/lookup/batch", nil, body)
	err = lines(ctx, r, err, decodeAnswer, answer)
	body.CloseWithError(errors.New("the director has stopped reading"))
	<-sent
	return err
}

func writeRequests(w io.Writer, requests iter.Seq2[LookupRequest, error]) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	for r, err := range requests {
		if err == nil {
			err = checkText("user", r.User)
		}
		if err == nil {
			_, err = buffered.Write(append(r.AppendJSON(buffered.AvailableBuffer()), '\n'))
		}
		if err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func decode[T any](raw []byte, into *T) error { return json.Unmarshal(raw, into) }

// lines decodes a response of one JSON value a line.
func lines[T any](
	ctx context.Context, r response, err error, decode func([]byte, *T) error, each func(T) error,
) error {
	if err != nil {
		return err
	}
	defer r.body.Close()
	scanner := bufio.NewScanner(r.body)
	scanner.Buffer(make([]byte, maxLine), maxLine)
	for scanner.Scan() {
		var value T
		if err := decode(scanner.Bytes(), &value); err != nil {
			if scanner.Err() != nil {
				break // it was half a line
			}
			return &ProtocolError{
				Addr: r.client.addr, Reason: "its answer is not JSON of a director",
			}
		}
		if err := each(value); err != nil {
			return err
		}
	}
	switch err := scanner.Err(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &UnreachableError{Addr: r.client.addr, Err: err}
	}
	return nil
}

// checkText refuses what JSON cannot carry unchanged: the director would hash another name.
func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return Errorf(CodeBadRequest, "%s %q is not valid UTF-8; give the name in UTF-8", what, s)
	}
	return nil
}
