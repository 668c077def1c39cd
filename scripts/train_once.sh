# To be sourced: `train NAME [option ...]`, the stage that NAME begins with (projector-mlp is a projector).
# Needs data=, size= and run=, what the names of all runs begin with. What is finished is not run again.
train() {
  grep -qs '"status": "finished"' "$run-$1/run.json" ||
    lead train "stage=${1%%-*}" "data=$data" "size=$size" "run=$run-$1" resume=true "${@:2}"
}
