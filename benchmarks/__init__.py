"""What each stage costs, against a plain statement of the same computation in the same run.

python -m benchmarks                 every part; writes benchmarks/RESULTS.md
python -m benchmarks chamfer sdf     these parts alone; what the file says of the others stays
"""
