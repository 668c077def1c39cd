# To be sourced. What is finished is not done again.
# `prepare FOLDER [option ...]`, a data set in datasets/FOLDER.
prepare() {
  [ -f "datasets/$1/manifest.json" ] || lead prepare "${@:2}" "output=datasets/$1"
}
# `train NAME [option ...]`, the stage that NAME begins with (projector-mlp is a projector).
# Needs data=, size= and run=, what the names of all runs begin with.
train() {
  grep -qs '"status": "finished"' "$run-$1/run.json" ||
    lead train "stage=${1%%-*}" "data=$data" "size=$size" "run=$run-$1" resume=true "${@:2}"
}
