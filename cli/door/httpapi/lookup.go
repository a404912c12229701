package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"directormesh/cli/api"
	"directormesh/mesh/wording"
	"directormesh/ring"
)

// A batch is worked on in groups, several at a time: at most window lookups of one request wait at
// once.
const (
	groupSize = 512
	groups    = 8
	maxLine   = 4 << 10 // of one LookupRequest
)

// lookup answers POST /v1/lookup.
func (s *Server) lookup(r *http.Request) (any, error) {
	var req api.LookupRequest
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := decodeRequest(body, &req); err != nil {
		return nil, err
	}
	answer, ok := s.tryAnswer(req)
	if !ok {
		answer = s.answer(r.Context(), req)
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	return answer, nil
}

// decodeRequest decodes a request that came from outside.
func decodeRequest(raw []byte, req *api.LookupRequest) error {
	var ok bool
	if *req, ok = api.PlainLookupRequest(raw); ok {
		return nil
	}
	return decode(raw, req)
}

// tryAnswer answers what need not wait: nearly everything. False: only answer can tell.
func (s *Server) tryAnswer(req api.LookupRequest) (api.LookupAnswer, bool) {
	if req.User == "" {
		return namelessAnswer(req), true
	}
	began := time.Now()
	backend, ok := s.director.TryLookup(ring.Tag(req.Tag), s.director.Hash(req.User))
	if ok {
		s.metrics.lookups.Shard().Answered(1, time.Since(began))
	}
	return api.LookupAnswer{User: req.User, Tag: req.Tag, Backend: backend}, ok
}

// tryAnswers is tryAnswer for many. It returns the answers, and which of them only answer can tell.
func (s *Server) tryAnswers(
	requests []api.LookupRequest,
) (answers []api.LookupAnswer, waiting []int) {
	began := time.Now()
	users := make([]ring.Lookup, 0, len(requests))
	for _, req := range requests {
		if req.User != "" {
			users = append(users, ring.Lookup{
				Tag: ring.Tag(req.Tag), Hash: s.director.Hash(req.User),
			})
		}
	}
	s.director.TryLookups(users)
	var answered int
	answers = make([]api.LookupAnswer, len(requests))
	for i, req := range requests {
		if req.User == "" {
			answers[i] = namelessAnswer(req)
			continue
		}
		backend := users[0].Backend
		users = users[1:]
		if !backend.IsValid() {
			waiting = append(waiting, i)
			continue
		}
		answers[i] = api.LookupAnswer{User: req.User, Tag: req.Tag, Backend: api.IP{Addr: backend}}
		answered++
	}
	s.metrics.lookups.Shard().Answered(answered, time.Since(began))
	return answers, waiting
}

func namelessAnswer(req api.LookupRequest) api.LookupAnswer {
	return api.LookupAnswer{
		Tag: req.Tag, Error: api.Errorf(api.CodeBadRequest, "user name is empty"),
	}
}

// answer waits for the answer that tryAnswer has not.
func (s *Server) answer(ctx context.Context, req api.LookupRequest) api.LookupAnswer {
	answer := api.LookupAnswer{User: req.User, Tag: req.Tag}
	began := time.Now()
	backend, err := s.director.Lookup(ctx, ring.Tag(req.Tag), s.director.Hash(req.User))
	var e *api.Error
	took := time.Since(began)
	switch {
	case err == nil:
		s.metrics.lookups.Shard().Answered(1, took)
		answer.Backend = backend
		return answer
	case errors.As(err, &e):
		answer.Error = e
	default:
		answer.Error = api.Errorf(api.CodeInternal, "%v", wording.Plain(err))
	}
	s.metrics.lookups.Shard().Failed(took)
	return answer
}

// group is some consecutive requests of a batch and, when done is closed, their answers.
type group struct {
	requests []api.LookupRequest
	answers  []api.LookupAnswer
	err      error // of the line after the last request
	done     chan struct{}
}

// lookupBatch answers POST /v1/lookup/batch. One goroutine reads lines and starts groups, this one
// writes the answers in order; the channel between them bounds how far the reader is ahead.
func (s *Server) lookupBatch(w http.ResponseWriter, r *http.Request) error {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	queue := make(chan *group, groups)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(queue)
		s.readGroups(ctx, w, r.Body, queue)
	})
	err := writeAnswers(w, queue)
	cancel()
	if err != nil {
		// The reader may sit in a read that nothing else would end.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	for range queue { // lets the reader come to its end
	}
	reader.Wait()
	return err
}

func (s *Server) readGroups(
	ctx context.Context, w http.ResponseWriter, body io.Reader, queue chan<- *group,
) {
	in := bufio.NewReaderSize(body, maxLine)
	for ctx.Err() == nil {
		g := &group{done: make(chan struct{})}
		// The read side has its own deadline: a client may be waiting for answers, not idle.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(idleTimeout))
		for len(g.requests) < groupSize && (len(g.requests) == 0 || hasLine(in)) {
			var req api.LookupRequest
			if g.err = readRequest(in, &req); g.err != nil {
				break
			}
			g.requests = append(g.requests, req)
		}
		s.start(ctx, g)
		select {
		case queue <- g:
		case <-ctx.Done():
			return
		}
		if g.err != nil {
			return
		}
	}
}

// hasLine reports whether a line is there without waiting for the client.
func hasLine(in *bufio.Reader) bool {
	buffered, _ := in.Peek(in.Buffered()) // cannot fail: it is there
	for _, c := range buffered {
		if c == '\n' {
			return true
		}
	}
	return false
}

func readRequest(in *bufio.Reader, req *api.LookupRequest) error {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return api.Errorf(api.CodeBadRequest, "line is longer than %d bytes; send one user a line",
			maxLine)
	case errors.Is(err, io.EOF) && len(line) > 0: // the last line without a newline
	case err != nil:
		return err
	}
	return decodeRequest(line, req)
}

// start looks all users of a group up at once, so that one who must wait does not hold up the
// others.
func (s *Server) start(ctx context.Context, g *group) {
	var waiting []int
	g.answers, waiting = s.tryAnswers(g.requests)
	if len(waiting) == 0 {
		close(g.done)
		return
	}
	go func() {
		defer close(g.done)
		var all sync.WaitGroup
		for _, i := range waiting {
			all.Go(func() { g.answers[i] = s.answer(ctx, g.requests[i]) })
		}
		all.Wait()
	}()
}

func writeAnswers(w http.ResponseWriter, queue <-chan *group) error {
	out := bufio.NewWriterSize(w, 64<<10)
	controller := http.NewResponseController(w)
	flush := func() error { return errors.Join(out.Flush(), controller.Flush()) }
	answered := false
	for g := range queue {
		<-g.done
		_ = controller.SetWriteDeadline(time.Now().Add(streamTimeout))
		for _, answer := range g.answers {
			_, err := out.Write(append(answer.AppendJSON(out.AvailableBuffer()), '\n'))
			if err != nil {
				return err
			}
			answered = true
		}
		switch {
		case g.err != nil && !errors.Is(g.err, io.EOF) && answered:
			return errors.Join(g.err, flush()) // before the stream is cut
		case g.err != nil && !errors.Is(g.err, io.EOF):
			return g.err
		case len(queue) == 0 && answered:
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}
