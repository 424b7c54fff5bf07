package handles_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Every method of these types' own, of no object and of one whose task is over, is a misuse.
func TestTypesOfOtherFiles_Misuse(t *testing.T) {
	own := []py.Object{
		&py.Type{}, &py.Module{}, &py.Function{}, &py.Method{}, &py.Code{}, &py.FrameObject{}, &py.TracebackObject{}, &py.Capsule{},
		&py.WeakRef{}, &py.Super{}, &py.GenericAlias{}, &py.Date{}, &py.Time{}, &py.DateTime{}, &py.TimeDelta{}, &py.TimeZone{},
	}
	var over py.Bound
	//gilt:vet-ignore its misuse is tested
	pytest.Do(t, func(tok *gilt.Token) { over = py.None(tok) })
	bound := reflect.TypeFor[py.Bound]()
	methods := 0
	for _, o := range own {
		for _, b := range []py.Bound{{}, over} {
			v := reflect.ValueOf(o).Elem()
			v.Field(0).Set(reflect.ValueOf(b))
			for i := range v.NumMethod() {
				name := v.Type().Method(i).Name
				if inherited, ok := bound.MethodByName(name); ok && inherited.Type.String() == strings.Replace(v.Type().Method(i).Type.String(), v.Type().String(), "handles.Bound", 1) {
					continue
				}
				var args []reflect.Value
				for j := range v.Method(i).Type().NumIn() {
					arg := reflect.New(v.Method(i).Type().In(j)).Elem()
					if arg.Type() == reflect.TypeFor[*time.Location]() {
						arg.Set(reflect.ValueOf(time.UTC))
					}
					args = append(args, arg)
				}
				methods++
				if _, err := pytest.Misused(func() { v.Method(i).Call(args) }); err != nil {
					t.Errorf("%T.%s of %+v: %v", o, name, b, err)
				}
			}
		}
	}
	if methods < 2*70 {
		t.Error("only", methods, "calls: the test tests less than it should")
	}
}
