// Package parallel runs stages over streams of records: native Go stages on an ants pool, Python stages
// through prepared functions. A stage takes an iter.Seq2 of values and errors and gives one, so stages
// compose, are typed, and end with a plain range loop:
//
//	rows := parallel.Native(ctx, lines(os.Stdin), decode, parallel.Options{})
//	outs := parallel.Python(ctx, rows, clean, parallel.Options{Ordered: true})
//	for out, err := range outs { … }
//
// A stage starts when it is ranged over, and again each time. It holds at most Options.Window records,
// so memory stays level however long the input is and however slow the loop. Leaving the loop, by break,
// return or panic, stops the stage: it reads no more, cancels the context that its functions were
// given, and waits for them and for the input's current step before the loop is left. So an input that blocks should end
// with the same context.
//
// What goes wrong comes out in the stage's sequence, once, as the error of a pair whose value is zero:
//
//   - a function's error as *RecordError, in the record's place when ordered; Options.OnError says
//     whether the stage then ends;
//   - an error of the input, as it is;
//   - the context's error, as the last pair, when the context ends before the records do;
//   - runtime.Goexit in a function as ErrGoexit in a *RecordError, in the input as ErrGoexit.
//
// A panic of a function or of the input is raised again, as *PanicError, in the goroutine that ranges.
package parallel
