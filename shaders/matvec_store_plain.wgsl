//#for i NR
//#for m M
    store($(m)u, base + $(i)u, acc_$(i)_$(m));
//#end
//#end
