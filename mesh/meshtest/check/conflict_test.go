package check

import (
	"slices"
	"testing"
)

// TestBeatenBy has a line lose against one that stood beside it, or that a fault let be made
// without knowledge of it, and be replaced by one that was not.
func TestBeatenBy(t *testing.T) {
	beside, other := &line{made: causeFresh}, &line{made: causeFault}
	for _, test := range []struct {
		name   string
		rivals []*line
		by     *line
		want   []*line
	}{
		{"one beside it", []*line{beside}, beside, []*line{beside}},
		{"one of two beside it", []*line{beside, other}, beside, []*line{beside, other}},
		{"one made by a fault", nil, other, []*line{other}},
		{"one made by a fault when it had stood beside another", []*line{beside}, other,
			[]*line{beside, other}},
		{"a move", nil, &line{made: causeMoved}, nil},
		{"a move when it had stood beside another", []*line{beside}, &line{made: causeMoved}, nil},
	} {
		got := goneLine{line: &line{rivals: test.rivals}, by: test.by}.beatenBy()
		same := len(got) > 0 == (len(test.want) > 0)
		for _, x := range []*line{beside, other} {
			same = same && slices.Contains(got, x) == slices.Contains(test.want, x)
		}
		if !same {
			t.Errorf("%s: beaten by %v, want %v", test.name, got, test.want)
		}
	}
}
