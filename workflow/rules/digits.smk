# Digit images and their splits.

if config["digits"]["kind"] == "mnist" and config["digits"].get("mirrors"):

    localrules:
        fetch_mnist,  # the nodes of a cluster may have no network

    rule fetch_mnist:
        output:
            archive=f"{config['digits']['folder']}/{{file}}",
        log:
            "<logs>/digits/fetch_{file}.log",
        benchmark:
            "<benchmarks>/digits/fetch_{file}.tsv"
        wildcard_constraints:
            file="|".join(MNIST_FILES),
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(500),
            runtime=growing(30),
        params:
            mirrors=config["digits"]["mirrors"],
        message:
            "Fetching {wildcards.file}"
        shell:
            "python $VIDREP_SCRIPTS/fetch_mnist.py --file {wildcards.file} --mirrors {params.mirrors} --output {output.archive} > {log} 2>&1"


rule split_digits:
    input:
        digit_files,
    output:
        digits="<results>/digits/digits{size}.npz",
    log:
        "<logs>/digits/split_digits{size}.log",
    benchmark:
        "<benchmarks>/digits/split_digits{size}.tsv"
    wildcard_constraints:
        size=r"(_\d+px)?",
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        source=digit_options(),
        patch=digits_patch,
        seed=config["seed"],
        code=code("split_digits"),
    message:
        "Splitting the digit images"
    shell:
        "python $VIDREP_SCRIPTS/split_digits.py {params.source} --patch {params.patch} --seed {params.seed} --output {output.digits} > {log} 2>&1"
