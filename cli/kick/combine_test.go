package kick

import (
	"context"
	"errors"
	"testing"
)

// kickerFunc is a kicker made of a function.
type kickerFunc func(ctx context.Context, t Target) (Result, error)

func (f kickerFunc) Kick(ctx context.Context, t Target) (Result, error) { return f(ctx, t) }

func gives(count int, known bool, err error) Kicker {
	return kickerFunc(func(context.Context, Target) (Result, error) {
		return Result{Count: count, Known: known}, err
	})
}

func leaves(n int) Kicker {
	return kickerFunc(func(context.Context, Target) (Result, error) { return Result{Left: n}, nil })
}

func TestAll(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name    string
		kickers All
		want    Result
		err     error
	}{
		{"one", All{gives(2, true, nil)}, Result{Count: 2, Known: true}, nil},
		{"all know", All{gives(2, true, nil), gives(3, true, nil)},
			Result{Count: 5, Known: true}, nil},
		{"one does not know", All{gives(2, true, nil), gives(3, false, nil)},
			Result{Count: 5, Known: false}, nil},
		{"two leave some", All{leaves(1), leaves(2), gives(1, true, nil)},
			Result{Count: 1, Left: 3}, nil},
		{"one fails", All{gives(2, true, nil), gives(1, true, broken)},
			Result{Count: 3, Known: false}, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.kickers.Kick(t.Context(), Target{})
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}
